"""The best of twenty orders of the same units; the betting bound depends on the order, which is drawn once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import build
from audit.risk.validation import batch
from audit.risk.validation.base import INVALID


@INVALID.register("best_of_twenty_orders")
@dataclass(frozen=True)
class BestOfTwentyOrders:
    """The units are shuffled twenty times and the smallest betting p-value is kept."""

    orders: int = 20

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications that reject "risk > 0.1" at a risk of 0.1."""
        losses, bound = (
            (random.random((replications, 200)) < 0.1).astype(float),
            build("betting", self.promised),
        )
        best = np.ones(replications)
        for _ in range(self.orders):
            best = np.minimum(best, batch.p_values(bound, random.permuted(losses, axis=1), 0.1))
        return int((best <= self.promised).sum())
