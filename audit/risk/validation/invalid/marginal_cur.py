"""The marginal CUR of the configuration that looks best.

Each upper bound covers with probability 1 - delta; the smallest of ten, taken after looking, does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import build
from audit.risk.validation import batch
from audit.risk.validation.base import INVALID
from audit.risk.validation.families import ALPHA, Family


@INVALID.register("marginal_cur_of_the_selected")
@dataclass(frozen=True)
class MarginalCurOfTheSelected:
    """The bound at delta is quoted for the configuration with the smallest one."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications in which the quoted bound lies below the risk of 0.1."""
        family = Family(n=89, attacks=1, broken="every clause")
        failures = family.failures(random, replications)[..., 0]
        bounds = batch.upper_by_count(build(family.bound, self.promised), family.n, self.promised)[failures]
        return int((bounds.min(axis=1) < ALPHA).sum())
