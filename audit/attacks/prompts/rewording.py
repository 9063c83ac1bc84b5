"""What prompt attacks share: each probe is asked in a few fixed other ways, one dose per way."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from audit.attacks.base import AttackContext, Attacked, Tier
from audit.core.seeds import generator
from audit.data.records import Probe
from audit.models.load import LanguageModel

Siblings = Mapping[str, Sequence[Probe]]
"""Subject -> its probes, by name of the probe."""


@dataclass(frozen=True)
class Rewording:
    """Asks every probe in ``wordings`` other ways; the dose is the number of the way, 1 for the first.

    A subclass says how in ``ask``. 0 wordings ask the plain question (dose 0).
    """

    wordings: int = 1

    name: ClassVar[str]
    tier: ClassVar[Tier] = "prompt"
    version: ClassVar[int] = 2
    dose_unit: ClassVar[str] = "wordings"
    most: ClassVar[int]  # how many ways there are
    never_trained_control: ClassVar[str] = (
        "The twins' questions to this model in the same way, and all of them to the retrained model."
    )

    def __post_init__(self) -> None:
        number = self.wordings
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= self.most:
            raise ValueError(f"wordings must be a whole number from 0 to {self.most}, got {number!r}")

    @property
    def doses(self) -> tuple[float, ...]:
        """1, 2, … up to ``wordings``."""
        return tuple(float(i) for i in range(1, self.wordings + 1)) or (0.0,)

    @property
    def cost(self) -> float:
        """One scoring pass a wording."""
        return float(len(self.doses))

    def zero(self) -> Self:
        """Return the attack that asks the plain question."""
        return replace(self, wordings=0)

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return ``nothing to ask`` if none of ``probes`` can be asked in this way."""
        if probes is None or self.wordings == 0:
            return None
        siblings = by_subject(probes)
        some = any(self.ask(probe, 0, siblings[probe.subject]) is not None for probe in probes)
        return None if some else "nothing to ask"

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield the given model itself with the probes that can be asked in each way and fit its context."""
        if self.wordings == 0:
            yield Attacked(0.0, model, tuple(probes))
        siblings = by_subject(probes)
        for index in range(self.wordings):
            asked = [(probe, self.ask(probe, index, siblings[probe.subject])) for probe in probes]
            wanted = [(p, text, self.wants(p, siblings[p.subject])) for p, text in asked if text is not None]
            told = tuple(
                replace(_wanting(p, answer), question=text, form=self.name)
                for p, text, answer in wanted
                if model.fits(text, answer)
            )
            if told:
                yield Attacked(float(index + 1), model, told)

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return nothing: the weights are as they were."""
        return {}

    def ask(self, probe: Probe, index: int, siblings: Sequence[Probe]) -> str | None:
        """Return the question in way ``index`` (from 0), or None where there is no such way for this probe.

        ``siblings`` are all probes of the same subject at hand, ``probe`` among them.
        """
        raise NotImplementedError

    def wants(self, probe: Probe, siblings: Sequence[Probe]) -> str:
        """Return the answer that counts: the probe's own, unless the attack asks for something else."""
        return probe.answer


def _wanting(probe: Probe, answer: str) -> Probe:
    """Return the probe with ``answer``; second wordings and wrong versions of another answer go."""
    if answer == probe.answer:
        return probe
    return replace(probe, answer=answer, paraphrased_answer=None, perturbed_answers=())


def by_subject(probes: Sequence[Probe]) -> Siblings:
    """Return each subject's probes in the order of their names, whatever order they came in."""
    found: dict[str, list[Probe]] = {}
    for probe in sorted(probes, key=lambda p: (p.subject, p.probe)):
        found.setdefault(probe.subject, []).append(probe)
    return found


def chance(probe: Probe, *names: str | int) -> np.random.Generator:
    """Return a generator that depends on the question alone: the same slips for whoever asks it."""
    return generator(zlib.crc32(probe.question.encode("utf-8")), *names)
