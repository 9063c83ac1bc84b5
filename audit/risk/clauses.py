"""One clause, all configurations: which theorem applies, and what it gives.

Three facts of the design decide the theorem, never the values: finite list or draws, fixed or random losses,
0/1 or graded. What was counted before (a census, units opened earlier) enters exactly, not through a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import fsum

import numpy as np

from audit.risk.bounds.base import Bound, Sample, build, exact
from audit.risk.table import Clause


@dataclass(frozen=True)
class Levels:
    """Error probabilities at which bounds are quoted.

    ``simultaneous`` = delta / K: true for all configurations together. ``marginal`` = delta: for one named
    beforehand. ``failing`` = delta / (number of clauses): lower bounds true for all clauses of one
    configuration.
    """

    simultaneous: float
    marginal: float
    failing: float


@dataclass(frozen=True, eq=False)
class ClauseBounds:
    """What one clause says about each configuration; arrays are (C,), NaN where it is not applicable.

    ``n`` units were opened, of which ``missing`` have no score; ``total`` sums their losses with missing ones
    as 1. ``estimate`` is the estimated risk over the whole list (or of a draw); NaN where not measured.
    ``upper`` and ``lower`` hold at ``level`` each; ``upper_marginal`` at delta; ``lower_failing`` at delta
    over the number of clauses. ``p_value`` tests risk > ``alpha``. With ``census`` all of them are the exact
    value.
    """

    name: str
    side: str
    alpha: float
    level: float
    bound: str
    census: bool
    population: int | None
    seen_units: int
    measured: np.ndarray
    applicable: np.ndarray
    n: np.ndarray
    total: np.ndarray
    missing: np.ndarray
    estimate: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    upper_marginal: np.ndarray
    lower_failing: np.ndarray
    p_value: np.ndarray

    @property
    def fails(self) -> np.ndarray:
        """(C,) bool: the lower bound exceeds the budget, so this promise is broken."""
        return self.applicable & (np.nan_to_num(self.lower_failing) > self.alpha)


@dataclass(frozen=True)
class Statement:
    """One clause about one configuration; the defaults say what absence means."""

    n: int = 0
    total: float = 0.0
    missing: int = 0
    estimate: float = float("nan")
    upper: float = 1.0
    lower: float = 0.0
    upper_marginal: float = 1.0
    lower_failing: float = 0.0
    p_value: float = 1.0


NOT_APPLICABLE = Statement(
    estimate=np.nan, upper=np.nan, lower=np.nan, upper_marginal=np.nan, lower_failing=np.nan, p_value=np.nan
)


def bound_clause(clause: Clause, alpha: float, levels: Levels, bound: str = "auto") -> ClauseBounds:
    """Return bounds and p-values of every configuration; ``bound`` is a registered name or ``auto``."""
    theorem = _theorem(clause, levels, bound)
    statements = [_statement(clause, row, alpha, levels, theorem) for row in range(len(clause.losses))]
    columns = {
        field: np.array([getattr(s, field) for s in statements]) for field in Statement.__dataclass_fields__
    }
    return ClauseBounds(
        name=clause.name,
        side=clause.side,
        alpha=alpha,
        level=levels.simultaneous,
        bound="census" if theorem is None else theorem.name,
        census=theorem is None,
        population=clause.population,
        seen_units=clause.seen_units,
        measured=np.asarray(clause.measured),
        applicable=np.asarray(clause.applicable),
        **columns,
    )


def choose(clause: Clause) -> str:
    """Return the name of the sharpest bound whose theorem covers the clause's design."""
    if clause.design == "list":
        return "hypergeometric" if clause.binary else "betting_without_replacement"
    if clause.design == "random list":
        return "binomial" if clause.binary else "mixture"
    return "binomial" if clause.binary else "betting"


def _theorem(clause: Clause, levels: Levels, name: str) -> Bound | None:
    if clause.census:
        return None
    bound = build(choose(clause) if name == "auto" else name, levels.simultaneous)
    if clause.design not in bound.designs or (bound.binary and not clause.binary):
        kind = "0/1" if clause.binary else "graded"
        raise ValueError(
            f"{clause.name}: {bound.name} does not hold for {kind} losses of the design {clause.design!r}"
        )
    return bound


def _statement(clause: Clause, row: int, alpha: float, levels: Levels, theorem: Bound | None) -> Statement:
    if not np.asarray(clause.applicable)[row]:
        return NOT_APPLICABLE
    if not np.asarray(clause.measured)[row]:
        return Statement()
    absent = np.isnan(clause.losses[row])
    missing, worst = int(absent.sum()), np.where(absent, 1.0, clause.losses[row])
    total = fsum(worst)
    if theorem is None:
        return _counted(clause, row, alpha, total, missing)
    if not clause.units:
        return Statement()
    left = None if clause.population is None else clause.population - clause.seen_units
    high = Sample(worst, left, planned=clause.units)
    low = Sample(np.where(absent, 0.0, worst), left, planned=clause.units) if missing else high
    # Each distinct level once: inverting a betting bound is what takes the time.
    upper, lower = (
        {delta: _over_list(clause, seen(row), invert(sample, delta)) for delta in dict.fromkeys(wanted)}
        for seen, invert, sample, wanted in (
            (clause.seen_total, theorem.upper, high, (levels.simultaneous, levels.marginal)),
            (clause.seen_least, theorem.lower, low, (levels.simultaneous, levels.failing)),
        )
    )
    return Statement(
        n=clause.units,
        total=total,
        missing=missing,
        estimate=_over_list(clause, clause.seen_total(row), total / clause.units),
        upper=upper[levels.simultaneous],
        lower=lower[levels.simultaneous],
        upper_marginal=upper[levels.marginal],
        lower_failing=lower[levels.failing],
        p_value=_p_value(clause, row, alpha, theorem, high),
    )


def _counted(clause: Clause, row: int, alpha: float, total: float, missing: int) -> Statement:
    """Return the exact value of a census; units without a score are the only thing left open."""
    size, most = clause.population or 1, total + clause.seen_total(row)
    high, low = most / size, (total - missing + clause.seen_least(row)) / size
    p_value = 0.0 if Fraction(most) <= exact(alpha) * size else 1.0
    return Statement(clause.units, total, missing, high, high, low, high, low, p_value)


def _over_list(clause: Clause, seen: float, rest: float) -> float:
    """Return the mean over the list when units seen before sum to ``seen`` and the rest has mean ``rest``."""
    if clause.population is None or not clause.seen_units:
        return rest
    left = rest * (clause.population - clause.seen_units)
    if abs(left - round(left)) < 1e-9:
        left = round(left)  # a whole number of units that was divided by their number
    return (seen + left) / clause.population


def _p_value(clause: Clause, row: int, alpha: float, theorem: Bound, sample: Sample) -> float:
    """Return the p-value of "risk over the list > alpha", tested on the units not opened before."""
    if clause.population is None or not clause.seen_units:
        return theorem.p_value(sample, alpha)
    left = clause.population - clause.seen_units
    budget = (exact(alpha) * clause.population - Fraction(clause.seen_total(row))) / left
    if budget < 0:
        return 1.0  # the units seen before exceed the budget by themselves
    return 0.0 if budget >= 1 else theorem.p_value(sample, budget)
