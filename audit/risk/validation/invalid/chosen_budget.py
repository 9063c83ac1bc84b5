"""Holm at a budget chosen after looking.

Holm's later steps are cheaper because the earlier ones are done, at one budget. Slide the budget over risks
that lie apart, and each of them in turn is the one false hypothesis left, tested at nearly the full delta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import build
from audit.risk.validation import batch
from audit.risk.validation.base import INVALID
from audit.risk.validation.coverage import EDGE
from audit.risk.validation.families import listings

RISKS = np.arange(1, 11) * 0.09  # ten configurations, each far from the next
UNITS = 300


@INVALID.register("holm_at_a_budget_chosen_afterwards")
@dataclass(frozen=True)
class HolmAtABudgetChosenAfterwards:
    """The budget slides until Holm's list pleases; the list is quoted at that budget."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications in which some budget just below a risk lists what exceeds it."""
        failures = random.binomial(UNITS, RISKS, (replications, len(RISKS)))
        bound, broken = build("binomial", self.promised), np.zeros(replications, dtype=bool)
        for budget in RISKS - EDGE:
            p_values = batch.p_by_count(bound, UNITS, float(budget))[failures]
            listed = listings("holm", p_values, self.promised, [None] * replications)
            broken |= (listed & (budget < RISKS)).any(axis=1)
        return int(broken.sum())
