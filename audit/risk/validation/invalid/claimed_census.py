"""A sample quoted as if it had been a census: the share of those opened is claimed for the whole list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.validation.base import INVALID
from audit.risk.validation.coverage import Setting


@INVALID.register("census_claimed_for_a_sample")
@dataclass(frozen=True)
class CensusClaimedForASample:
    """60 of 120 units are opened, and their share is stated as that of the list."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications in which the list is worse than claimed."""
        setting = Setting("list", "bernoulli", n=60, population=120)
        return int((setting.draw(random, replications).mean(axis=1) < setting.truth - 1e-9).sum())
