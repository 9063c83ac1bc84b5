"""Typos: letters of the question change places, as in hasty typing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.attacks.base import ATTACKS
from audit.attacks.prompts.rewording import Rewording, chance
from audit.data.records import Probe

SHARES = (0.1, 0.2, 0.4)  # of words with a slip, by dose
SHORTEST = 4  # words shorter than this stay


@ATTACKS.register("typos")
@dataclass(frozen=True)
class Typos(Rewording):
    """Swap two inner letters in 10, 20, 40 % of the longer words, names included; the dose counts these levels."""

    most: ClassVar[int] = len(SHARES)
    dose_unit: ClassVar[str] = "levels"
    source: ClassVar[str] = "UnlearnPII's obfuscated questions; levels are ours"

    def ask(self, probe: Probe, index: int, siblings: Sequence[Probe]) -> str:
        """Return the question with its slips."""
        random = chance(probe, "typos", index)
        words = probe.question.split(" ")
        long = [place for place, word in enumerate(words) if len(word) >= SHORTEST and word.isalpha()]
        slips = min(len(long), max(1, round(SHARES[index] * len(long))))
        for place in random.permutation(long)[:slips]:
            words[place] = _swapped(words[place], random)
        return " ".join(words)


def _swapped(word: str, random: np.random.Generator) -> str:
    at = int(random.integers(1, len(word) - 2))
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
