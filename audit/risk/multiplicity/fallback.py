"""The fallback procedure: a fixed sequence that goes on after a failure.

Wiens. Pharmaceutical Statistics 2(3), 2003; a closed test by Wiens, Dmitrienko. Journal of Biopharmaceutical
Statistics 15(6), 2005. Each place of the order owns a share of delta. A rejected hypothesis hands all it had
to the next place; one that fails keeps it, and the next place starts again with its own share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.risk.multiplicity.base import PROCEDURES, demanded, family, level_along_order


@PROCEDURES.register("fallback")
@dataclass(frozen=True)
class Fallback:
    """Test along the order at the place's own share of delta plus what the place before has handed on."""

    shares: tuple[float, ...] | Literal["equal"] = "equal"  # of delta, by place; places beyond own none

    name: ClassVar[str]
    ordered: ClassVar[bool] = True
    source: ClassVar[str] = "Wiens 2003; Wiens, Dmitrienko 2005"

    def __post_init__(self) -> None:
        if self.shares == "equal":
            return
        if isinstance(self.shares, str) or min(self.shares, default=-1) < 0 or math.fsum(self.shares) > 1:
            raise ValueError(f"shares are 'equal', or in [0, 1] with a sum of at most 1, got {self.shares}")

    def reject(
        self, p_values: np.ndarray, delta: float, size: int, order: Sequence[int] | None = None
    ) -> np.ndarray:
        """Return (C,) bool; never less than Bonferroni where shares are equal and nobody is missing."""
        filled = family(p_values, delta, size)
        rows = demanded(order, len(filled), self.name)
        delta = level_along_order(delta, size, len(filled))
        own, whole = self._shares(len(rows))
        rejected = np.zeros(len(filled), dtype=bool)
        held = 0.0  # at this place, of the ``whole`` that is delta
        for row, share in zip(rows, own, strict=True):
            held += share
            rejected[row] = filled[row] <= delta * held / whole
            held = held if rejected[row] else 0.0
        return rejected

    def _shares(self, places: int) -> tuple[Sequence[float], float]:
        """Return what each place owns and what they own together; whole numbers where shares are equal."""
        if isinstance(self.shares, str):
            return [1.0] * places, float(places)
        return [*self.shares, *[0.0] * places][:places], 1.0
