"""Paraphrase: ask the same thing in other words.

Unlearning is trained on one wording. A model that has only learned to refuse or miss that wording answers
another one (Maini et al. 2024, arXiv:2401.06121, ask every TOFU question once more in other words). The
wordings come with the data, so nothing is generated here; a probe without one is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from audit.attacks.base import ATTACKS, Attack, AttackContext, Attacked, Tier
from audit.data.records import Probe
from audit.models.load import LanguageModel


@ATTACKS.register("paraphrase")
@dataclass(frozen=True)
class Paraphrase:
    """Ask each probe's paraphrased questions; the dose is the number of the wording, 1 for the first.

    ``wordings``: how many wordings are asked at most, at least 0; 0 asks the plain questions (dose 0).
    """

    wordings: int = 1

    name: ClassVar[str]
    tier: ClassVar[Tier] = "prompt"
    version: ClassVar[int] = 1
    dose_unit: ClassVar[str] = "wordings"
    source: ClassVar[str] = "Maini et al. 2024, arXiv:2401.06121 (paraphrased_question)"
    never_trained_control: ClassVar[str] = (
        "The twins' own paraphrased questions to this model, and the same wordings to the retrained model."
    )

    def __post_init__(self) -> None:
        if isinstance(self.wordings, bool) or not isinstance(self.wordings, int) or self.wordings < 0:
            raise ValueError(f"wordings must be a whole number of at least 0, got {self.wordings!r}")

    @property
    def doses(self) -> tuple[float, ...]:
        """1, 2, … up to ``wordings``; one that no probe has is not yielded."""
        return tuple(float(i) for i in range(1, self.wordings + 1)) or (0.0,)

    @property
    def cost(self) -> float:
        """One scoring pass a wording."""
        return float(len(self.doses))

    def zero(self) -> Attack:
        """Return the attack that asks no other wording."""
        return replace(self, wordings=0)

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return ``no paraphrases`` if none of ``probes`` has another wording."""
        if probes is None or self.wordings == 0 or any(probe.paraphrased_questions for probe in probes):
            return None
        return "no paraphrases"

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield the given model itself with the probes that have the wording, a wording at a time."""
        if self.wordings == 0:
            yield Attacked(0.0, model, tuple(probes))
        for index in range(self.wordings):
            asked = tuple(
                _worded(probe, index) for probe in probes if index < len(probe.paraphrased_questions)
            )
            if asked:
                yield Attacked(float(index + 1), model, asked)

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return nothing: the weights are as they were."""
        return {}


def _worded(probe: Probe, index: int) -> Probe:
    return replace(probe, question=probe.paraphrased_questions[index], form="paraphrase")
