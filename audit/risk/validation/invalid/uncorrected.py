"""Uncorrected tests: with ten configurations at the edge one of them passes far too often (about 1 - .95^10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.validation.base import INVALID
from audit.risk.validation.families import Family


@INVALID.register("uncorrected_tests")
@dataclass(frozen=True)
class UncorrectedTests:
    """Every configuration is tested at delta, as if it had been the only one."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications in which some false configuration has p <= delta."""
        p_values = Family(n=89).p_values(random, replications, self.promised)
        return int((p_values <= self.promised).any(axis=1).sum())
