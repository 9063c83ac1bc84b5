"""Random networks of four architectures, and the unit-test laboratory, trained once per session."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from random_networks import ARCHITECTURES, random_network

from audit.data.records import Corpus, Probe
from audit.data.registry_lab import both_wordings, generate
from audit.models.laboratory import LaboratorySpec, tokenizer_for, train_reference
from audit.models.load import LanguageModel, PromptTemplate

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """40 trained persons with four probes each, and ten twins."""
    return generate(0, forget=16, retain=24, twins=10, facts=2, secrets=2)


@pytest.fixture(scope="session")
def tokenizer(corpus):
    return tokenizer_for(corpus, LaboratorySpec(vocabulary=400))


@pytest.fixture(params=ARCHITECTURES)
def model(request, tokenizer) -> LanguageModel:
    """A fresh random model of each architecture."""
    return LanguageModel(random_network(request.param, len(tokenizer)), tokenizer, PromptTemplate("qa"))


@pytest.fixture
def llama(tokenizer) -> LanguageModel:
    """A fresh random Llama."""
    return LanguageModel(random_network("llama", len(tokenizer)), tokenizer, PromptTemplate("qa"))


@pytest.fixture(scope="session")
def probes(corpus) -> list[Probe]:
    """All probes of the trained persons, forget side first."""
    return [probe for subject in (*corpus.forget, *corpus.retain) for probe in subject.probes]


@dataclass(frozen=True)
class Laboratory:
    corpus: Corpus
    spec: LaboratorySpec
    both: frozenset[str]
    original: LanguageModel
    retrained: LanguageModel


@pytest.fixture(scope="session")
def laboratory(corpus) -> Laboratory:
    """The unit-test laboratory, released on the 4-bit grid."""
    spec = LaboratorySpec.tiny()
    both = both_wordings(corpus, spec.seed)
    original, retrained = (
        train_reference(corpus, role, spec, both_wordings=both, device="cpu")
        for role in ("original", "retrained")
    )
    return Laboratory(corpus, spec, both, original, retrained)
