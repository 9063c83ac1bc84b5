"""How often one bound misses: settings in which the true risk is known, and samples drawn from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.core.seeds import generator
from audit.risk.bounds.base import Bound, Design, Sample
from audit.risk.validation.laws import LAWS

EDGE = 1e-7  # budgets lie this much below the true risk, so that the null hypothesis is true, just so


@dataclass(frozen=True)
class Setting:
    """``n`` units with true mean loss near ``risk``.

    ``population`` is the N of the designs ``list`` and ``random list`` and unused for ``draws``.
    """

    design: Design
    law: str
    risk: float = 0.1
    n: int = 60
    population: int = 90
    delta: float = 0.05

    @property
    def label(self) -> str:
        """A name for tables, test ids and random streams."""
        size = "" if self.design == "draws" else f" of {self.population}"
        return f"{self.design}, {self.law}, n={self.n}{size}, risk={self.risk:g}, delta={self.delta:.4g}"

    @property
    def size(self) -> int | None:
        """The N that a bound is told."""
        return None if self.design == "draws" else self.population

    @property
    def truth(self) -> float:
        """The true risk: of a draw, or the mean over the list."""
        return self.risk if self.design == "draws" else float(self.listed().mean())

    def listed(self) -> np.ndarray:
        """Return the fixed (N,) losses of the list, or each unit's expected loss where outcomes are random."""
        if self.design == "list" and self.law == "bernoulli":
            return (np.arange(self.population) < round(self.risk * self.population)).astype(float)
        if self.design == "list":
            return LAWS[self.law](generator(0, "list", self.label), self.risk, self.population)
        return np.where(np.arange(self.population) % 2, 2 * self.risk, 0.0)  # half of the units never leak

    def draw(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (R, n) losses of independent samples, each in random order."""
        if self.design == "draws":
            return LAWS[self.law](random, self.risk, (replications, self.n))
        chosen = self.listed()[drawn(random, replications, self.n, self.population)]
        if self.design == "list":
            return chosen
        return np.where(chosen > 0, LAWS[self.law](random, 2 * self.risk, chosen.shape), 0.0)


@dataclass(frozen=True)
class Misses:
    """How often a promise was broken in ``replications``; ``upper`` and ``lower`` are separate promises."""

    upper: int
    lower: int
    replications: int


def bound_misses(bound: Bound, setting: Setting, replications: int, seed: int = 0) -> Misses:
    """Return how often ``bound`` at ``setting.delta`` lies on the wrong side of the true risk."""
    random = generator(seed, bound.name, setting.label)
    truth, upper, lower = setting.truth, 0, 0
    for losses in setting.draw(random, replications):
        sample = Sample(losses, setting.size)
        upper += bound.upper(sample, setting.delta) < truth - 1e-9
        lower += bound.lower(sample, setting.delta) > truth + 1e-9
    return Misses(upper, lower, replications)


def drawn(random: np.random.Generator, replications: int, n: int, size: int) -> np.ndarray:
    """Return (R, n) which of ``size`` units are opened, in the random order of their opening."""
    return random.random((replications, size)).argsort(axis=1)[:, :n]
