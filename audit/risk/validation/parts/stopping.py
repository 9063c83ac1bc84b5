"""Optional stopping: an audit that is looked at after every unit and ends when it pleases.

The worst analyst looks every time and stops at the first acceptance, so a violation is any false acceptance
at any look. Anytime p-values are simulated for all replications at once, the sequential audit as it is
called, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.sequential import E_HOLM, SequentialAudit
from audit.risk.table import Clause, LossTable
from audit.risk.validation.base import PARTS
from audit.risk.validation.coverage import EDGE, Setting
from audit.risk.validation.families import ALPHA, Family, listings
from audit.risk.validation.laws import DEPENDENCE
from audit.risk.wealth import Wealth


@dataclass(frozen=True)
class AnytimeCell:
    """The anytime p-value of one clause, looked at after each of n units."""

    setting: Setting
    slow: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The setting."""
        return f"look after every unit: {self.setting.label}"

    @property
    def promised(self) -> float:
        """Delta, over all looks together."""
        return self.setting.delta

    @property
    def procedures(self) -> tuple[str, ...]:
        """The e-process of ``wealth.py``."""
        return ("anytime p-value",)

    def violations(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (1,) replications that reject at some look; each is a configuration of one big clause."""
        setting = self.setting
        losses = setting.draw(random, replications)
        binary = setting.law == "bernoulli"
        clause = Clause("none", "forget", losses[:, :0], setting.size, binary=binary)
        wealth = Wealth(clause, setting.truth - EDGE)
        for unit in losses.T:
            wealth.step(unit)
        return np.array([(wealth.log_peak >= -np.log(setting.delta)).sum()])


@dataclass(frozen=True)
class AnytimeFamilyCell:
    """Every procedure on anytime p-values of a family; they only fall, so the last look holds all earlier ones."""

    family: Family
    delta: float = 0.05
    slow: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The family."""
        return f"look after every unit: {self.family.label}"

    @property
    def promised(self) -> float:
        """Delta, over all looks together."""
        return self.delta

    @property
    def procedures(self) -> tuple[str, ...]:
        """All procedures."""
        return tuple(PROCEDURES.names())

    def violations(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (P,) replications in which some false configuration is listed at some look."""
        losses = self.family.draw(random, replications)  # (R, C, A + 1, n)
        rows = losses.reshape(-1, losses.shape[-1])
        clause = Clause("all", "forget", rows[:, :0], self.family.population, binary=True)
        wealth = Wealth(clause, ALPHA - EDGE)
        for unit in rows.T:
            wealth.step(unit)
        p_values = np.exp(-wealth.log_peak).reshape(losses.shape[:-1]).max(axis=2)
        orders = self.family.orders(random, replications)
        listed = [listings(name, p_values, self.delta, orders) for name in self.procedures]
        return np.array([(found & self.family.violating).any(axis=1).sum() for found in listed])


@dataclass(frozen=True)
class SequentialCell:
    """The whole sequential audit of a family, looked at every ``batch`` units."""

    family: Family
    batch: int = 20
    delta: float = 0.05
    slow: ClassVar[bool] = True

    @property
    def label(self) -> str:
        """The family and the looks."""
        return f"sequential audit, a look every {self.batch} units: {self.family.label}"

    @property
    def promised(self) -> float:
        """Delta, over all looks together."""
        return self.delta

    @property
    def procedures(self) -> tuple[str, ...]:
        """Holm on anytime p-values, and closed testing by averages of e-values."""
        return ("holm", E_HOLM)

    def violations(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (2,) replications in which a false configuration is accepted at some look."""
        losses = self.family.draw(random, replications)  # (R, C, A + 1, n)
        return np.array([sum(self._accepts(name, units) for units in losses) for name in self.procedures])

    def _accepts(self, procedure: str, losses: np.ndarray) -> bool:
        rows, clauses, n = losses.shape
        names = [f"attack {number}" for number in range(clauses - 1)] + ["utility"]
        sides = ["forget"] * (clauses - 1) + ["utility"]
        table = LossTable(
            tuple(f"c{row}" for row in range(rows)),
            tuple(
                Clause(name, side, losses[:, number, :0], self.family.population, binary=True)  # type: ignore[arg-type]
                for number, (name, side) in enumerate(zip(names, sides, strict=True))
            ),
            rows,
        )
        budget = ALPHA - EDGE
        audit = SequentialAudit(
            table, alpha_forget=budget, alpha_utility=budget, delta=self.delta, family=procedure
        )
        for start in range(0, n, self.batch):
            audit.update({name: losses[:, i, start : start + self.batch] for i, name in enumerate(names)})
            if bool((audit.accepted & self.family.violating).any()):
                return True
        return False


@PARTS.register("stopping")
@dataclass(frozen=True)
class Stopping:
    """Looks at any time."""

    name: ClassVar[str]

    def cells(self) -> Iterator[AnytimeCell | AnytimeFamilyCell | SequentialCell]:
        """Yield p-values in draws and lists, then families, then two whole audits."""
        for design in ("draws", "list"):
            for law in ("bernoulli", "beta, wide", "zero-inflated"):
                yield AnytimeCell(Setting(design, law, n=100, population=120))
            yield AnytimeCell(Setting(design, "bernoulli", n=300, population=400))
        for dependence in DEPENDENCE:
            yield AnytimeFamilyCell(Family(dependence=dependence, size=3, nulls=3, attacks=1, n=60))
        yield AnytimeFamilyCell(Family(size=3, nulls=2, attacks=1, n=60, population=80))
        yield SequentialCell(Family(nulls=3, size=3, attacks=1, n=60))
        yield SequentialCell(Family(nulls=1, size=3, attacks=1, n=60, population=80))
