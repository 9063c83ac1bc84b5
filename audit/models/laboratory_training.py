"""The training of a laboratory's original, in a form that exact methods can do again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.core.seeds import derive
from audit.data.records import Corpus, Subject
from audit.models.laboratory import LaboratorySpec, train_on, training_examples
from audit.models.language_model import LanguageModel
from audit.models.provenance import not_in_slices
from audit.models.sliced import SlicedTraining, base_of, parts_of
from audit.models.training import Example

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
        base, slices = self._people(with_forgotten)
        names = ("original", seed) if seed else ("original",)
        model = train_on(
            self.corpus, base, self.spec, names, both_wordings=self.both_wordings, device=self.device
        )
        if not slices:
            return model
        return self._slices(names).fit(model, self._examples(base), [self._examples(s) for s in slices])

    def resume(self, model: LanguageModel, *, with_forgotten: bool) -> LanguageModel:
        """Return ``model`` with the slices from the first forgotten person's on learned again; E232 without slices."""
        base, slices = self._people(with_forgotten)
        if not slices:
            raise not_in_slices()
        _, everybody = self._people(with_forgotten=True)
        same = [one == other for one, other in zip(slices, everybody, strict=True)]
        until = same.index(False) if False in same else len(same)
        kept = parts_of(model, [bool(one) for one in everybody])[:until]
        examples = [self._examples(one) for one in slices]
        return self._slices(("original",)).fit(base_of(model), self._examples(base), examples, kept)

    def _people(self, with_forgotten: bool) -> tuple[list[Subject], list[list[Subject]]]:
        gone = set() if with_forgotten else {subject.subject for subject in self.corpus.forget}
        base, slices = self.how.deal(self.corpus, self.spec.seed)
        return _others(base, gone), [_others(one, gone) for one in slices]

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


def _others(people: Sequence[Subject], gone: set[str]) -> list[Subject]:
    return [person for person in people if person.subject not in gone]
