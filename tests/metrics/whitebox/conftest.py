from __future__ import annotations

import pytest
from random_networks import random_network

from audit.models.load import LanguageModel


@pytest.fixture
def other(llama) -> LanguageModel:
    """Another random model of the same shape."""
    return LanguageModel(random_network("llama", len(llama.tokenizer), seed=5), llama.tokenizer, llama.prompt)
