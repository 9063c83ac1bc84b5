"""A test for one look, taken again and again until it certifies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import build
from audit.risk.validation import batch
from audit.risk.validation.base import INVALID

FIRST, LAST, RISK = 20, 200, 0.1


@INVALID.register("repeated_looks")
@dataclass(frozen=True)
class RepeatedLooks:
    """The exact binomial test is repeated after every fifth unit, from 20 to 200, until it succeeds."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications that reject "risk > 0.1" at a risk of 0.1 at some look."""
        failures = np.cumsum(random.random((replications, LAST)) < RISK, axis=1)
        bound, rejected = build("binomial", self.promised), np.zeros(replications, dtype=bool)
        for n in range(FIRST, LAST + 1, 5):
            rejected |= batch.p_by_count(bound, n, RISK)[failures[:, n - 1]] <= self.promised
        return int(rejected.sum())
