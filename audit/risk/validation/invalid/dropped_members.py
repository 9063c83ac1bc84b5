"""A family that forgets the members it dropped: ten were tried, the two best are certified as a family of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.validation.base import INVALID
from audit.risk.validation.families import Family


@INVALID.register("dropped_members_forgotten")
@dataclass(frozen=True)
class DroppedMembersForgotten:
    """Ten configurations were tried; the two best count as the whole family."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications in which the better of the two is certified at delta / 2."""
        p_values = Family(n=127).p_values(random, replications, self.promised / 2)
        return int((p_values.min(axis=1) <= self.promised / 2).sum())
