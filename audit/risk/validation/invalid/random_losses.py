"""The hypergeometric on losses that would come out differently on repetition.

90 of 100 units are opened, each leaks anew with chance 0.1. The hypergeometric believes that only the ten
unopened units are in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import build
from audit.risk.validation import batch
from audit.risk.validation.base import INVALID
from audit.risk.validation.coverage import EDGE, Setting


@INVALID.register("hypergeometric_on_random_losses")
@dataclass(frozen=True)
class HypergeometricOnRandomLosses:
    """A bound for fixed losses is used on sampled ones."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications that reject a risk just above the budget."""
        setting = Setting("random list", "bernoulli", n=90, population=100)
        failures = setting.draw(random, replications).sum(axis=1).astype(int)
        table = batch.p_by_count(build("hypergeometric", self.promised), 90, setting.truth - EDGE, 100)
        return int((table[failures] <= self.promised).sum())
