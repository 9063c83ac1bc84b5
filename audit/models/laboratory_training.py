"""The training of a laboratory's original, in a form that exact methods can do again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.core.seeds import derive
from audit.data.records import Corpus, Subject
from audit.models.joined import constituents
from audit.models.laboratory import LaboratorySpec, train_on, train_reference, training_examples
from audit.models.language_model import LanguageModel
from audit.models.provenance import not_in_slices
from audit.models.sharded import ShardedTraining
from audit.models.sliced import SlicedTraining, base_of, parts_of
from audit.models.training import Example
from audit.models.trainings import Dealt

ADAPTER_LR = 3e-3


@dataclass(frozen=True)
class LaboratoryTraining:
    """Everything that decides the original; ``how`` is one of ``audit.models.trainings.TRAININGS``."""

    corpus: Corpus
    spec: LaboratorySpec
    how: Any
    both_wordings: frozenset[str]
    device: str

    def again(self, *, with_forgotten: bool, seed: int) -> LanguageModel:
        """Return the original (seed 0), or what it would be without the forgotten persons."""
        names = ("original", seed) if seed else ("original",)
        base, slices, shards = self._people(with_forgotten)
        if shards:
            return self._shards(names).fit(shards)
        model = train_on(
            self.corpus, base, self.spec, names, both_wordings=self.both_wordings, device=self.device
        )
        if not slices:
            return model
        return self._slices(names).fit(model, self._examples(base), [self._examples(s) for s in slices])

    def control(self) -> LanguageModel:
        """Return the reference that never saw the forgotten persons, of draws of its own and the original's sizes."""
        _, _, shards = self._people(with_forgotten=False)
        if shards:
            return self._shards(("retrained",)).fit(shards)
        both = self.both_wordings
        return train_reference(self.corpus, "retrained", self.spec, both_wordings=both, device=self.device)

    def resume(self, model: LanguageModel, *, with_forgotten: bool) -> LanguageModel:
        """Return ``model`` with what has seen a forgotten person learned again; E232 where that is everything.

        Of shards these are the constituents with forgotten persons, of slices those from the first such one on.
        """
        base, slices, shards = self._people(with_forgotten)
        _, everybody, everyone = self._people(with_forgotten=True)
        if shards:
            old = constituents(model, len(shards))
            same = [one == other for one, other in zip(shards, everyone, strict=True)]
            return self._shards(("original",)).fit(shards, {n: old[n] for n, kept in enumerate(same) if kept})
        if not slices:
            raise not_in_slices()
        same = [one == other for one, other in zip(slices, everybody, strict=True)]
        until = same.index(False) if False in same else len(same)
        kept = parts_of(model, [bool(one) for one in everybody])[:until]
        examples = [self._examples(one) for one in slices]
        return self._slices(("original",)).fit(base_of(model), self._examples(base), examples, kept)

    def _people(self, with_forgotten: bool) -> Dealt:
        gone = set() if with_forgotten else {subject.subject for subject in self.corpus.forget}
        dealt: Dealt = self.how.deal(self.corpus, self.spec.seed)
        slices, shards = (
            tuple(_others(one, gone) for one in parts) for parts in (dealt.slices, dealt.shards)
        )
        return Dealt(_others(dealt.base, gone), slices, shards)

    def _shards(self, names: tuple[object, ...]) -> ShardedTraining:
        return ShardedTraining(self.spec, self.both_wordings, self.device, names)

    def _slices(self, names: tuple[object, ...]) -> SlicedTraining:
        spec = self.spec
        return SlicedTraining(
            self.how.rank,
            spec.epochs,
            spec.batch,
            ADAPTER_LR,
            derive(spec.seed, "slices", *names),
        )

    def _examples(self, people: Sequence[Subject]) -> list[Example]:
        return training_examples(people, self.both_wordings)


def _others(people: Sequence[Subject], gone: set[str]) -> tuple[Subject, ...]:
    return tuple(person for person in people if person.subject not in gone)
