"""Holm's procedure that meets an undefined p-value and stops.

MAPIE 1.6.0: ``argmin`` picks the NaN of a configuration without a defined risk, the comparison fails, the
loop ends and lists nothing. Holm promises to list at least what Bonferroni lists, always: a rate of 0. The
error is a loss of power; that ours keeps the others and never lists the NaN is a row of the first table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.validation.base import INVALID
from audit.risk.validation.families import Family


@INVALID.register("nan_inside_holm")
@dataclass(frozen=True)
class NanInsideHolm:
    """One undefined p-value ends the procedure, and what Bonferroni certifies is lost."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.0

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications in which something is lost that Bonferroni certifies."""
        p_values = Family(nulls=5).p_values(random, replications, 0.005)
        p_values[np.arange(replications), random.integers(0, 10, replications)] = np.nan
        with_nan = np.array([self._holm(row) for row in p_values])
        return int((~with_nan & (p_values <= 0.05 / p_values.shape[1])).any(axis=1).sum())

    def _holm(self, p_values: np.ndarray, delta: float = 0.05) -> np.ndarray:
        left, listed = p_values.copy(), np.zeros(len(p_values), dtype=bool)
        for step in range(len(left)):
            smallest = int(np.argmin(left))  # NaN wins
            if not left[smallest] <= delta / (len(left) - step):
                break
            listed[smallest], left[smallest] = True, np.inf
        return listed
