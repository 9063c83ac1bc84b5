"""Every multiplicity procedure: the chance of listing any configuration that breaks a budget.

Shared units make the p-values of configurations depend on each other; independent, equal and one-factor
dependence bracket what audits show. Procedures that need an order get one from tune units, or the worst one:
all false configurations first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.validation.base import PARTS
from audit.risk.validation.families import Family, listings
from audit.risk.validation.laws import DEPENDENCE


@dataclass(frozen=True)
class FamilyCell:
    """All procedures on the same p-values."""

    family: Family
    delta: float = 0.05
    nulls_first: bool = False  # order of the ordered procedures; else learned on tune units
    slow: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The family, and the order if it is not learned."""
        order = ", nulls first in the order" if self.nulls_first else ""
        return f"{self.family.label}{order}, delta={self.delta:g}"

    @property
    def promised(self) -> float:
        """Delta."""
        return self.delta

    @property
    def procedures(self) -> tuple[str, ...]:
        """Names of the procedures: all, or those for which the order matters."""
        return tuple(name for name in PROCEDURES.names() if PROCEDURES[name].ordered or not self.nulls_first)

    def violations(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (P,) replications in which some false configuration is listed."""
        p_values = self.family.p_values(random, replications, self.delta / self.family.size)
        orders = self._orders(random, replications)
        return np.array([self._broken(name, p_values, orders) for name in self.procedures])

    def _broken(self, name: str, p_values: np.ndarray, orders: np.ndarray) -> int:
        listed = listings(name, p_values, self.delta, orders)
        return int((listed & self.family.violating).any(axis=1).sum())

    def _orders(self, random: np.random.Generator, replications: int) -> np.ndarray:
        if self.nulls_first:
            return np.tile(np.arange(self.family.size), (replications, 1))
        return self.family.orders(random, replications)


@PARTS.register("procedures")
@dataclass(frozen=True)
class Procedures:
    """Familywise error of the valid set."""

    name: ClassVar[str]

    def cells(self) -> Iterator[FamilyCell]:
        """Yield 0/1 draws first, then lists, graded losses, other sizes and orders."""
        for dependence in DEPENDENCE:
            for nulls in (10, 5):
                yield FamilyCell(Family(dependence=dependence, nulls=nulls))
            yield FamilyCell(Family(dependence=dependence, population=190))
            yield FamilyCell(Family("graded", dependence, n=80))
            yield FamilyCell(Family("graded", dependence, n=80, population=160))
        for attacks in (1, 6):
            yield FamilyCell(Family(attacks=attacks))
        yield FamilyCell(Family(nulls=2, size=2, attacks=1, n=127))
        yield FamilyCell(Family(nulls=16, size=16, n=202))
        yield FamilyCell(Family(nulls=1, n=89))
        for nulls in (1, 5):
            yield FamilyCell(Family(nulls=nulls, n=89), nulls_first=True)
        yield FamilyCell(Family(nulls=5, n=90, population=120), delta=0.1)
