"""A family that grows after its results were seen, with every member counted.

Each round changes the best configuration so far (three in ten units get a fresh loss) and keeps the change if
fewer of the same calibration units fail. All 64 have a risk of exactly 0.1 and are tested at delta / 64; two
thirds of such searches end in a false certificate. Counting is not enough: the units are used up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import build
from audit.risk.validation import batch
from audit.risk.validation.base import INVALID

UNITS, RISK, RENEWED = 100, 0.1, 0.3


@INVALID.register("adaptive_family")
@dataclass(frozen=True)
class AdaptiveFamily:
    """64 rounds on the same units, each built on the last result, each tested at delta / 64."""

    rounds: int = 64

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications in which some round is certified."""
        level = self.promised / self.rounds
        table = batch.p_by_count(build("binomial", level), UNITS, RISK)
        best = random.random((replications, UNITS)) < RISK
        certified = table[best.sum(axis=1)] <= level
        for _ in range(self.rounds - 1):
            fresh = random.random(best.shape) < RISK
            changed = np.where(random.random(best.shape) < RENEWED, fresh, best)
            certified |= table[changed.sum(axis=1)] <= level
            better = changed.sum(axis=1) <= best.sum(axis=1)
            best = np.where(better[:, None], changed, best)
        return int(certified.sum())
