"""A fixed sequence whose order was learned on the units that are then tested.

The smallest p-value comes first and meets the full delta: the same as no correction at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.validation.base import INVALID
from audit.risk.validation.families import Family, listings


@INVALID.register("order_learned_on_calibration_units")
@dataclass(frozen=True)
class OrderLearnedOnCalibrationUnits:
    """A fixed sequence is ordered by the p-values that it then tests."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications in which some false configuration is listed."""
        p_values = Family(n=89).p_values(random, replications, self.promised)
        orders = np.argsort(p_values, axis=1, kind="stable")
        return int(listings("fixed_sequence", p_values, self.promised, orders).any(axis=1).sum())
