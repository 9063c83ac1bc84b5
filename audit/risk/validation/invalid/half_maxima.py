"""The sum of two half-sample maxima of the betting wealth, as one library computes it "to save memory".

MAPIE 1.6.0, ``get_r_hat_plus(bound="wsr")``. Ville's inequality allows one running maximum; the sum of the log
wealth's maxima over two halves lies above it. Measured there: 17 % at a promised 10 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar

import numpy as np

from audit.risk.bounds.bets import peak
from audit.risk.validation import batch
from audit.risk.validation.base import INVALID

RISK, UNITS = 0.2, 100


@INVALID.register("sum_of_half_sample_maxima")
@dataclass(frozen=True)
class SumOfHalfSampleMaxima:
    """The wealth is followed in two halves and their maxima are added."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.1

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications that reject the true risk."""
        losses = (random.random((replications, UNITS)) < RISK).astype(float)
        bets, gains, half = batch.predictable_bets(losses, self.promised), RISK - losses, UNITS // 2
        evidence = peak(bets[:, :half], gains[:, :half]) + peak(bets[:, half:], gains[:, half:])
        return int((evidence >= -log(self.promised)).sum())
