"""Holm's step-down procedure, the default.

Holm. Scandinavian Journal of Statistics 6(2), 1979. Sorted ascending, the i-th p-value is compared with
delta / (K - i + 1); the first that fails ends the procedure. Never rejects less than Bonferroni.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.multiplicity.base import PROCEDURES, family


@PROCEDURES.register("holm")
@dataclass(frozen=True)
class Holm:
    """Reject from the smallest p-value on while p_(i) <= delta / (K - i + 1)."""

    name: ClassVar[str]
    ordered: ClassVar[bool] = False
    source: ClassVar[str] = "Holm 1979"

    def reject(
        self, p_values: np.ndarray, delta: float, size: int, order: Sequence[int] | None = None
    ) -> np.ndarray:
        """Return (C,) bool; missing members of the family sort last, as p = 1."""
        filled = family(p_values, delta, size)
        ranked = np.argsort(filled, kind="stable")
        passes = filled[ranked] <= delta / (size - np.arange(len(filled)))
        rejected = np.zeros(len(filled), dtype=bool)
        rejected[ranked] = np.logical_and.accumulate(passes)
        return rejected
