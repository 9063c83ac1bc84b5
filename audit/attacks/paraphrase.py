"""Paraphrase: ask the same thing in other words.

Unlearning is trained on one wording. A model that has only learned to refuse or miss that wording answers
another one (Maini et al. 2024, arXiv:2401.06121, ask every TOFU question once more in other words). The
wordings come with the data, so nothing is generated here; a probe without one is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.attacks.base import ATTACKS
from audit.attacks.prompts.rewording import Rewording
from audit.data.records import Probe
from audit.models.load import LanguageModel


@ATTACKS.register("paraphrase")
@dataclass(frozen=True)
class Paraphrase(Rewording):
    """Ask each probe's paraphrased questions; the dose is the number of the wording, 1 for the first."""

    most: ClassVar[int] = 20
    source: ClassVar[str] = "Maini et al. 2024, arXiv:2401.06121 (paraphrased_question)"
    never_trained_control: ClassVar[str] = (
        "The twins' own paraphrased questions to this model, and the same wordings to the retrained model."
    )

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return ``no paraphrases`` if none of ``probes`` has another wording."""
        return super().not_applicable(model, probes) and "no paraphrases"

    def ask(self, probe: Probe, index: int, siblings: Sequence[Probe]) -> str | None:
        """Return the paraphrase of this number; None where the data hold none."""
        found = probe.paraphrased_questions
        return found[index] if index < len(found) else None
