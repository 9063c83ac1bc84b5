"""Two-sided betting used for a one-sided claim.

A hedged wealth (half on "lower", half on "higher") tests "risk = budget" and grows just as well when the risk
is far above it: code for two-sided confidence intervals certifies the worst models.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar

import numpy as np

from audit.risk.validation import batch
from audit.risk.validation.base import INVALID

BUDGET, RISK, UNITS = 0.1, 0.3, 100


@INVALID.register("two_sided_betting_used_one_sided")
@dataclass(frozen=True)
class TwoSidedBettingUsedOneSided:
    """Evidence that the risk differs from the budget is sold as evidence that it lies below."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications that certify a budget of 0.1 at a risk of 0.3."""
        losses = (random.random((replications, UNITS)) < RISK).astype(float)
        gains = batch.predictable_bets(losses, self.promised) * (BUDGET - losses)
        wealth = np.logaddexp(np.cumsum(np.log1p(gains), axis=1), np.cumsum(np.log1p(-gains), axis=1)) - log(
            2
        )
        return int((wealth.max(axis=1) >= -log(self.promised)).sum())
