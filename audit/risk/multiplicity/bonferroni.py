"""Bonferroni: every hypothesis at delta / K.

Dunn. JASA 56(293), 1961. A union bound; the only one of the family whose level does not depend on the data,
which is why simultaneous bounds use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.multiplicity.base import PROCEDURES, family


@PROCEDURES.register("bonferroni")
@dataclass(frozen=True)
class Bonferroni:
    """Reject where p <= delta / K."""

    name: ClassVar[str]
    ordered: ClassVar[bool] = False
    source: ClassVar[str] = "Dunn 1961"

    def reject(
        self, p_values: np.ndarray, delta: float, size: int, order: Sequence[int] | None = None
    ) -> np.ndarray:
        """Return (C,) bool: p <= delta / size."""
        return family(p_values, delta, size) <= delta / max(size, 1)
