"""The default graph: most of delta walks along an order, the rest insures against a bad one.

The sum of two graphs of Bretz, Maurer, Brannath, Posch (Statistics in Medicine 28(4), 2009), a fixed sequence
with (1 - insurance) delta and Holm with insurance times delta: entangled graphs, Maurer, Bretz. Statistics in
Medicine 32(10), 2013. With a good order nearly everything a fixed sequence certifies is certified; when a bad
candidate stands in front, Holm's part still stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.multiplicity.base import PROCEDURES, demanded, family, level_along_order


@PROCEDURES.register("graphical")
@dataclass(frozen=True)
class Graphical:
    """Reject along the order at most of delta, and anywhere at Holm's level of the rest."""

    insurance: float = 0.2  # share of delta that is Holm's; 0 is the fixed sequence, 1 is Holm

    name: ClassVar[str]
    ordered: ClassVar[bool] = True
    source: ClassVar[str] = "Bretz et al. 2009; Maurer, Bretz 2013"

    def __post_init__(self) -> None:
        if not 0 <= self.insurance <= 1:
            raise ValueError(f"insurance is a share of delta in [0, 1], got {self.insurance}")

    def reject(
        self, p_values: np.ndarray, delta: float, size: int, order: Sequence[int] | None = None
    ) -> np.ndarray:
        """Return (C,) bool: p <= Holm's level, plus the walking level for the first not yet rejected."""
        filled = family(p_values, delta, size)
        rows = demanded(order, len(filled), self.name)
        along = (1 - self.insurance) * level_along_order(delta, size, len(filled))
        rejected = np.zeros(len(filled), dtype=bool)
        while not rejected.all():
            levels = np.full(len(filled), self.insurance * delta / (size - int(rejected.sum())))
            levels[next(row for row in rows if not rejected[row])] += along
            more = ~rejected & (filled <= levels)
            if not more.any():
                break
            rejected |= more
        return rejected
