"""Per-unit utility losses of every configuration on the retained side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.plan.cube import Cube
from audit.plan.settings import Settings
from audit.risk import losses


@dataclass(frozen=True, eq=False)
class Retained:
    """The retained side of a cube without an attack.

    ``original`` is the original's row on the configuration axis, None without one; ``harm`` says whether utility is
    counted over what the original answers right, or over everything asked.
    """

    cube: Cube
    settings: Settings
    original: int | None
    harm: bool

    def losses(self, units: np.ndarray) -> np.ndarray:
        """Return (C, n) shares of wrong answers; NaN for a unit that is not ``counted``."""
        asked = self._asked[units]
        return np.stack([losses.utility_harm(right, asked) for right in self._right[:, units]])

    def counted(self, units: np.ndarray) -> np.ndarray:
        """Return (n,) bool: units with a probe that utility is counted over."""
        return np.asarray(self._asked[units].any(axis=1))

    @property
    def _right(self) -> np.ndarray:
        """(C, U, P) whether a probe is answered right: exactly, or for imported logs with ROUGE-L recall >= tau."""
        at = self.cube.cells.index(("none", 0.0))
        if self.settings.imported:
            recall = self.cube.values("rouge_l_recall")[:, at]
            return np.where(np.isnan(recall), np.nan, recall >= self.settings.tau)
        return self.cube.values("exact_match")[:, at]

    @property
    def _asked(self) -> np.ndarray:
        """(U, P) probes counted: those the original answers right (listed before the split in our runs), or all."""
        if not self.harm:
            return self.cube.exists
        if not self.settings.imported:
            return self.cube.known
        if self.original is None:
            raise ValueError("utility harm of an imported log needs the original among the configurations")
        return np.nan_to_num(self._right[self.original]) >= 1
