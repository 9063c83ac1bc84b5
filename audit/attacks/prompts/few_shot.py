"""Few-shot: the person's other facts, answered, stand before the question.

RWKU calls it in-context learning (arXiv:2406.10890). What is asked is never among what is shown. An answer that
returns was in the weights, since nothing shown determines it; the twins, asked in the same way, show what the
examples themselves give away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.attacks.base import ATTACKS
from audit.attacks.prompts.rewording import Rewording
from audit.data.records import Probe


@ATTACKS.register("few_shot")
@dataclass(frozen=True)
class FewShot(Rewording):
    """Show the person's other questions with their answers; the dose is how many are shown."""

    most: ClassVar[int] = 8
    dose_unit: ClassVar[str] = "examples"
    source: ClassVar[str] = "RWKU, arXiv:2406.10890 (in-context learning)"

    def ask(self, probe: Probe, index: int, siblings: Sequence[Probe]) -> str | None:
        """Return ``index + 1`` answered questions about the same person, then the question; None with fewer."""
        others = [p for p in siblings if p.probe != probe.probe and p.answer != probe.answer]
        if len(others) <= index:
            return None
        shown = " ".join(f"{p.question} {p.answer}" for p in others[: index + 1])
        return f"{shown} {probe.question}"
