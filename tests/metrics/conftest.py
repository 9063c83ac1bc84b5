"""Random networks of four architectures with the laboratory's tokenizer, and probes with every kind of answer."""

from __future__ import annotations

import pytest
import torch
from random_networks import ARCHITECTURES, random_network

from audit.data.records import Probe
from audit.data.registry_lab import generate
from audit.models.laboratory import LaboratorySpec, tokenizer_for
from audit.models.load import LanguageModel, PromptTemplate

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def lab_corpus():
    return generate(0, forget=6, retain=6, twins=2, facts=2, secrets=2)


@pytest.fixture(scope="session")
def lab_tokenizer(lab_corpus):
    return tokenizer_for(lab_corpus, LaboratorySpec(vocabulary=400))


@pytest.fixture(params=ARCHITECTURES)
def model(request, lab_tokenizer) -> LanguageModel:
    return LanguageModel(
        random_network(request.param, len(lab_tokenizer)), lab_tokenizer, PromptTemplate("qa")
    )


@pytest.fixture
def llama(lab_tokenizer) -> LanguageModel:
    return LanguageModel(random_network("llama", len(lab_tokenizer)), lab_tokenizer, PromptTemplate("qa"))


@pytest.fixture
def asked() -> list[Probe]:
    """Three probes: with paraphrase and wrong answers, with wrong answers only, with nothing beside the answer."""
    return [
        Probe(
            "u",
            "full",
            "Where was Wendy born?",
            "She was born in Lowell.",
            paraphrased_answer="Lowell is her birthplace.",
            perturbed_answers=("She was born in Salem.", "In Boston", "She was born in a town by the sea."),
        ),
        Probe("u", "options", "Which city?", "Lowell", perturbed_answers=("Salem", "Boston")),
        Probe("v", "plain", "What is the number?", "4477 0912"),
    ]
