"""Leetspeak: digits stand for letters, which word filters and trained refusals may not recognise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.attacks.base import ATTACKS
from audit.attacks.prompts.rewording import Rewording
from audit.data.records import Probe

LEVELS = ({"e": "3"}, {"e": "3", "o": "0"}, {"e": "3", "o": "0", "a": "4", "i": "1"})


@ATTACKS.register("leetspeak")
@dataclass(frozen=True)
class Leetspeak(Rewording):
    """Write 3 for e, then 0 for o, then 4 for a and 1 for i; the dose counts these levels."""

    most: ClassVar[int] = len(LEVELS)
    dose_unit: ClassVar[str] = "levels"
    source: ClassVar[str] = "UnlearnPII's obfuscated questions; levels are ours"

    def ask(self, probe: Probe, index: int, siblings: Sequence[Probe]) -> str:
        """Return the question with its letters replaced."""
        return probe.question.translate(str.maketrans(LEVELS[index]))
