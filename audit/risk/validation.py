"""Monte-Carlo proof: how often a bound misses, how often a procedure lists a configuration it must not.

A guarantee that was never simulated is a hope, and a harness that never failed proves nothing: the same
functions must flag procedures known to be invalid (``tests/validity``). Rates are judged by an exact binomial
test, so a valid procedure at its boundary is flagged in at most ``evidence`` of the studies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from audit.core.lazy import lazy
from audit.core.seeds import generator
from audit.risk.bounds.base import Bound, Design, Sample
from audit.risk.table import LossTable

stats = lazy("scipy.stats")

Law = Callable[[np.random.Generator, float, int], np.ndarray]
"""(generator, risk, size) -> i.i.d. losses (size,) in [0, 1] with mean ``risk`` < 1/4."""


def _beta(random: np.random.Generator, risk: float, size: int, spread: float) -> np.ndarray:
    return random.beta(risk * spread, (1 - risk) * spread, size)


def _two_point(random: np.random.Generator, risk: float, size: int) -> np.ndarray:
    return np.where(random.random(size) < 2 * risk, 0.5, 0.0)


def _zero_inflated(random: np.random.Generator, risk: float, size: int) -> np.ndarray:
    return np.where(random.random(size) < 4 * risk, random.random(size) / 2, 0.0)


LAWS: Mapping[str, Law] = MappingProxyType(
    {
        "bernoulli": lambda random, risk, size: (random.random(size) < risk).astype(float),
        "beta, narrow": lambda random, risk, size: _beta(random, risk, size, 30.0),
        "beta, wide": lambda random, risk, size: _beta(random, risk, size, 2.0),
        "0 and 1/2": _two_point,
        "zero-inflated": _zero_inflated,
    }
)


@dataclass(frozen=True)
class Cell:
    """One setting of a coverage study: ``n`` units with true mean loss near ``risk``.

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
        """A name for tables and test ids."""
        size = "" if self.design == "draws" else f" of {self.population}"
        return f"{self.design}, {self.law}, n={self.n}{size}, risk={self.risk:g}, delta={self.delta:g}"


@dataclass(frozen=True)
class Misses:
    """How often a promise was broken in ``replications``; ``upper`` and ``lower`` are separate promises."""

    upper: int
    lower: int
    replications: int


def bound_misses(bound: Bound, cell: Cell, replications: int, seed: int = 0) -> Misses:
    """Return how often ``bound`` at ``cell.delta`` lies on the wrong side of the true risk."""
    random = generator(seed, bound.name, cell.label)
    listed = _list(cell, random)
    truth = cell.risk if listed is None else float(listed.mean())
    upper = lower = 0
    for _ in range(replications):
        sample = _sample(cell, listed, random)
        upper += bound.upper(sample, cell.delta) < truth - 1e-9
        lower += bound.lower(sample, cell.delta) > truth + 1e-9
    return Misses(upper, lower, replications)


def false_rejections(bound: Bound, cell: Cell, replications: int, seed: int = 0) -> int:
    """Return how often the test rejects at ``cell.delta`` with the true risk just above the budget.

    The same event as a missing upper bound, at a fraction of the cost.
    """
    random = generator(seed, "test", bound.name, cell.label)
    listed = _list(cell, random)
    budget = (cell.risk if listed is None else float(listed.mean())) - 1e-7
    return sum(
        bound.p_value(_sample(cell, listed, random), budget) <= cell.delta for _ in range(replications)
    )


def false_listings(
    decide: Callable[[LossTable], np.ndarray],
    draw: Callable[[np.random.Generator], LossTable],
    violating: np.ndarray,
    replications: int,
    seed: int = 0,
) -> int:
    """Return in how many replications ``decide`` marks some configuration that exceeds a budget.

    ``draw`` makes one table, ``decide`` returns (C,) bool, ``violating`` (C,) bool is the truth.
    """
    random = generator(seed, "false listings")
    return sum(bool((decide(draw(random)) & violating).any()) for _ in range(replications))


def too_often(count: int, replications: int, rate: float, evidence: float = 0.01) -> bool:
    """Return whether ``count`` of ``replications`` contradicts a promised ``rate`` (exact binomial test)."""
    return bool(stats.binom.sf(count - 1, replications, rate) <= evidence)


def interval(count: int, replications: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Clopper-Pearson interval of a rate, for tables."""
    tail = (1 - confidence) / 2
    low = stats.beta.ppf(tail, count, replications - count + 1) if count else 0.0
    high = stats.beta.ppf(1 - tail, count + 1, replications - count) if count < replications else 1.0
    return float(low), float(high)


def _list(cell: Cell, random: np.random.Generator) -> np.ndarray | None:
    """Return the fixed (N,) losses of a list, or each unit's expected loss where outcomes are random."""
    if cell.design == "draws":
        return None
    if cell.design == "list" and cell.law == "bernoulli":
        return (np.arange(cell.population) < round(cell.risk * cell.population)).astype(float)
    if cell.design == "list":
        return LAWS[cell.law](random, cell.risk, cell.population)
    return np.where(np.arange(cell.population) % 2, 2 * cell.risk, 0.0)  # half of the units never leak


def _sample(cell: Cell, listed: np.ndarray | None, random: np.random.Generator) -> Sample:
    if listed is None:
        return Sample(LAWS[cell.law](random, cell.risk, cell.n))
    chosen = random.permutation(listed)[: cell.n]
    if cell.design == "list":
        return Sample(chosen, cell.population)
    outcomes = np.where(chosen > 0, LAWS[cell.law](random, 2 * cell.risk, cell.n), 0.0)
    return Sample(outcomes, cell.population)
