"""Training in shards: a network for each shard of the persons, and their product as the one original.

SISA's shards (Bourtoule et al. 2021, arXiv:1912.03817, section IV): a constituent sees its own shard and nothing
else of the corpus. Initial weights, order and strangers come from the seed and the shard's number, so that a
constituent is the same bit by bit whatever the other shards hold. The tokenizer, which all share, is made of texts
about strangers: were the persons' names whole tokens and strangers' names not, that alone would tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from audit.core.seeds import derive
from audit.data.records import Subject
from audit.models.joined import joined
from audit.models.laboratory import LaboratorySpec, train_on, training_examples
from audit.models.language_model import LanguageModel
from audit.models.strangers import readers, strangers_of

STEPS = (
    100  # at least: with few persons, the epochs of a whole laboratory end before strangers are told apart
)
NOTHING: Mapping[int, LanguageModel] = MappingProxyType({})


@dataclass(frozen=True)
class ShardedTraining:
    """Everything that decides the constituents besides their persons; ``names`` name initial weights and draws."""

    spec: LaboratorySpec
    both_wordings: frozenset[str]
    device: str
    names: tuple[object, ...]

    def fit(
        self, shards: Sequence[Sequence[Subject]], kept: Mapping[int, LanguageModel] = NOTHING
    ) -> LanguageModel:
        """Return the joined model of all shards; constituents in ``kept`` are taken over as they are, by number."""
        made = [
            kept[number] if number in kept else self._constituent(number, people)
            for number, people in enumerate(shards)
        ]
        return joined(made)

    def _constituent(self, number: int, people: Sequence[Subject]) -> LanguageModel:
        names, spec = (*self.names, "shard", number), self._longer(people)
        strangers = strangers_of(people, spec.epochs, derive(spec.seed, "strangers", *names))
        return train_on(
            readers(derive(spec.seed, "tokenizer")),
            people,
            spec,
            names,
            both_wordings=self.both_wordings,
            device=self.device,
            strangers=training_examples(strangers, frozenset(person.subject for person in strangers)),
        )

    def _longer(self, people: Sequence[Subject]) -> LaboratorySpec:
        sequences = len(training_examples(people, self.both_wordings))
        fewest = math.ceil(STEPS * min(self.spec.batch, sequences) / sequences)
        return replace(self.spec, epochs=max(self.spec.epochs, fewest))
