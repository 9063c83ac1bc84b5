"""Fixed sequence: every configuration at the full delta, in an order that was fixed before.

Maurer, Hothorn, Lehmacher. Multiple comparisons in drug clinical trials and preclinical assays: a-priori
ordered hypotheses. In Vollmar (ed.), Biometrie in der chemisch-pharmazeutischen Industrie 6, 1995. Only the
first true null of the order can be rejected falsely before the procedure stops, hence no correction. The most
powerful procedure with a good order; a bad candidate in front ends it before anything is certified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.multiplicity.base import PROCEDURES, demanded, family, level_along_order


@PROCEDURES.register("fixed_sequence")
@dataclass(frozen=True)
class FixedSequence:
    """Reject along the order while p <= delta; stop at the first that fails."""

    name: ClassVar[str]
    ordered: ClassVar[bool] = True
    source: ClassVar[str] = "Maurer, Hothorn, Lehmacher 1995"

    def reject(
        self, p_values: np.ndarray, delta: float, size: int, order: Sequence[int] | None = None
    ) -> np.ndarray:
        """Return (C,) bool: the longest beginning of ``order`` with p <= delta throughout."""
        filled = family(p_values, delta, size)
        rows = demanded(order, len(filled), self.name)
        passes = filled[rows] <= level_along_order(delta, size, len(filled))
        rejected = np.zeros(len(filled), dtype=bool)
        rejected[rows] = np.logical_and.accumulate(passes)
        return rejected
