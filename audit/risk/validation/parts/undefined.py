"""p-values that could not be computed: they certify nothing and cost the others nothing.

An undefined p-value counts as 1. A procedure breaks its promise if it lists an undefined configuration, or if
it treats the others differently than it does beside a p-value of 1. It promises never to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.validation.base import PARTS
from audit.risk.validation.families import Family, listings


@dataclass(frozen=True)
class UndefinedCell:
    """Half of the configurations are good, each is undefined with chance ``share``."""

    share: float
    family: Family
    delta: float = 0.05
    slow: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The share."""
        return (
            f"p-values undefined with chance {self.share:g}, {self.family.nulls} null of {self.family.size}"
        )

    @property
    def promised(self) -> float:
        """Never."""
        return 0.0

    @property
    def procedures(self) -> tuple[str, ...]:
        """All procedures."""
        return tuple(PROCEDURES.names())

    def violations(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (P,) replications in which an undefined p-value certifies or costs anything."""
        p_values = self.family.p_values(random, replications, self.delta / self.family.size)
        orders = self.family.orders(random, replications)
        undefined = random.random(p_values.shape) < self.share
        with_nan, with_one = np.where(undefined, np.nan, p_values), np.where(undefined, 1.0, p_values)
        broken = []
        for name in self.procedures:
            listed = listings(name, with_nan, self.delta, orders)
            differs = listed != listings(name, with_one, self.delta, orders)
            broken.append(int((differs | (listed & undefined)).any(axis=1).sum()))
        return np.array(broken)


@PARTS.register("undefined")
@dataclass(frozen=True)
class Undefined:
    """Absence is not evidence."""

    name: ClassVar[str]

    def cells(self) -> Iterator[UndefinedCell]:
        """Yield two shares."""
        yield UndefinedCell(0.2, Family(nulls=5))
        yield UndefinedCell(0.6, Family(nulls=5))
