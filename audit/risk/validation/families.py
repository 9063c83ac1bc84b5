"""Families of configurations with known risks: losses, p-values of every clause, and orders from tune units.

Clauses are the attacks and, last, utility. A false configuration that breaks its promise in one clause only
and is perfect in all others is the least favourable null hypothesis of an intersection-union test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from audit.core.lazy import lazy
from audit.core.seeds import generator
from audit.risk.bounds.base import build
from audit.risk.multiplicity.base import PROCEDURES, Procedure
from audit.risk.validation import batch
from audit.risk.validation.coverage import EDGE, drawn
from audit.risk.validation.laws import dependent_scores, of_uniform, uniforms_of

special = lazy("scipy.special")

ALPHA = 0.1
GOOD = 0.02  # risk of a valid configuration in every clause
TUNE = 60  # units per clause that an order is learned from
Losses = Literal["0/1", "graded"]


@dataclass(frozen=True)
class Family:
    """K configurations, of which ``nulls`` exceed the budget by a hair; they stand first.

    ``population`` None: i.i.d. draws, else a fixed list of that many units, shared by all.
    """

    losses: Losses = "0/1"
    dependence: str = "independent"
    nulls: int = 10
    size: int = 10
    attacks: int = 3
    n: int = 137
    population: int | None = None
    broken: Literal["one clause", "one attack", "every clause"] = "one clause"  # by a false configuration

    @property
    def label(self) -> str:
        """The family in words."""
        where = f"n={self.n}" + (f" of {self.population}" if self.population else "")
        attacks = f"{self.attacks} attack{'s' * (self.attacks > 1)} + utility"
        nulls = f"{self.nulls} null of {self.size} in {self.broken}"
        return f"{self.losses}, {where}, {self.dependence}, {nulls}, {attacks}"

    @property
    def violating(self) -> np.ndarray:
        """(C,) bool."""
        return np.arange(self.size) < self.nulls

    @property
    def risks(self) -> np.ndarray:
        """Return (C, A + 1) true risks."""
        risks = np.full((self.size, self.attacks + 1), GOOD)
        null = np.arange(self.nulls)
        if self.broken == "every clause":
            risks[null] = ALPHA
        else:
            risks[null] = 0.0
            risks[null, null % (self.attacks + (self.broken == "one clause"))] = ALPHA
        return risks

    @property
    def bound(self) -> str:
        """The default theorem of this design."""
        draws, listed = {"0/1": ("binomial", "hypergeometric"), "graded": _GRADED}[self.losses]
        return listed if self.population else draws

    def p_values(self, random: np.random.Generator, replications: int, level: float) -> np.ndarray:
        """Return (R, C) p-values: the largest over clauses of "risk > budget", budgets just below the truth."""
        bound = build(self.bound, level)
        if self.losses == "0/1":
            table = batch.p_by_count(bound, self.n, ALPHA - EDGE, self.population)
            return table[self.failures(random, replications)].max(axis=2)
        return batch.p_values(bound, self.draw(random, replications), self._budget(), self.population).max(
            axis=2
        )

    def failures(self, random: np.random.Generator, replications: int, *units: int) -> np.ndarray:
        """Return (R, C, A + 1) numbers of failures among n units; 0/1 losses.

        With ``units`` instead: (len(units), R, C, A + 1), in disjoint groups of so many units each.
        """
        groups = units or (self.n,)
        if self.population is None:
            found = [self._fail(random, (replications,), n).sum(axis=3) for n in groups]
        else:
            chosen = drawn(random, replications, sum(groups), self.population)
            found = [self._listed_failures(c) for c in np.split(chosen, np.cumsum(groups)[:-1], axis=1)]
        return np.array(found) if units else found[0]

    def _listed_failures(self, chosen: np.ndarray) -> np.ndarray:
        opened = np.zeros((len(chosen), self.population or 0))
        np.put_along_axis(opened, chosen, 1.0, axis=1)
        listed = self.listed().reshape(-1, opened.shape[1])
        return np.rint(opened @ listed.T).astype(np.int64).reshape(len(chosen), self.size, -1)

    def draw(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (R, C, A + 1, n) losses, units in the order of their opening."""
        if self.population is not None:
            chosen = drawn(random, replications, self.n, self.population)
            return np.moveaxis(self.listed()[:, :, chosen], 2, 0)
        if self.losses == "0/1":
            return self._fail(random, (replications,), self.n).astype(float)
        shape = (replications, self.size, self.attacks + 1, self.n)
        return _grades(uniforms_of(-dependent_scores(random, self.dependence, shape)), self.risks)

    def listed(self) -> np.ndarray:
        """Return (C, A + 1, N) fixed losses with the true risks as exact means, dependent as the family is."""
        return _listed(self)

    def orders(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (R, C) orders learned on tune units of their own: fewest failures in the worst clause first."""
        failures = self._fail(random, (replications,), TUNE).sum(axis=3)
        return np.argsort(failures.max(axis=2), axis=1, kind="stable")

    def _fail(self, random: np.random.Generator, outer: tuple[int, ...], n: int) -> np.ndarray:
        scores = dependent_scores(random, self.dependence, (*outer, self.size, self.attacks + 1, n))
        return scores < special.ndtri(self.risks)[:, :, None]

    def _budget(self) -> float:
        if self.population is None:
            return ALPHA - EDGE
        return float(self.listed().mean(axis=2).max(axis=1)[self.violating].min()) - EDGE


def listings(
    name: str, p_values: np.ndarray, delta: float, orders: np.ndarray | Sequence[None]
) -> np.ndarray:
    """Return (R, C) bool: what the procedure lists for p-values (R, C), one audit after the other."""
    procedure = procedure_of(name, p_values.shape[1])
    rows = zip(p_values, orders, strict=True)
    return np.array([procedure.reject(p, delta, len(p), order) for p, order in rows])


def procedure_of(name: str, size: int) -> Procedure:
    """Return the registered procedure; a general graph is given as a ring along the order."""
    if name == "graph":
        ring = np.roll(np.eye(size), 1, axis=1) if size > 1 else np.zeros((1, 1))
        graph: Any = PROCEDURES[name]
        return graph((1 / size,) * size, tuple(tuple(map(float, row)) for row in ring))
    return PROCEDURES.build(name)


_GRADED = ("betting", "betting_without_replacement")


def _grades(uniforms: np.ndarray, risks: np.ndarray) -> np.ndarray:
    losses = np.zeros_like(uniforms)
    for row, clause in np.argwhere(risks > 0):
        losses[..., row, clause, :] = of_uniform(
            "zero-inflated", uniforms[..., row, clause, :], float(risks[row, clause])
        )
    return losses


@lru_cache(maxsize=64)
def _listed(family: Family) -> np.ndarray:
    random, size = generator(0, "family", family.label), family.population or 0
    shape = (family.size, family.attacks + 1, size)
    places = dependent_scores(random, family.dependence, shape).argsort(axis=2).argsort(axis=2)
    if family.losses == "0/1":
        failing = np.rint(family.risks * size)
        return (places < failing[:, :, None]).astype(float)
    return _grades(1 - (places + 0.5) / size, family.risks)
