"""One clause, all configurations: which theorem applies, and what it gives.

Three facts of the design decide the theorem, never the values: finite list or draws, fixed or random losses,
0/1 or graded. What was counted before (a census, units opened earlier) enters exactly, not through a bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from audit.risk.answers import Answers, Bounded, Counted
from audit.risk.bounds.base import Bound, build
from audit.risk.exceedance import Looked
from audit.risk.rows import Rows
from audit.risk.table import Clause


@dataclass(frozen=True)
class Levels:
    """Error probabilities at which bounds are quoted.

    ``simultaneous`` = delta / K: true for all configurations together. ``marginal`` = delta: for one named
    beforehand. ``failing`` = delta / (number of clauses): lower bounds true for all clauses of one
    configuration. With ``looks`` a lower bound is taken at one of the looks or after the last unit, and each of the two
    has half of the error probability.
    """

    simultaneous: float
    marginal: float
    failing: float
    looks: bool = False

    def below(self, delta: float) -> float:
        """Return the error probability of one lower bound of which all together have ``delta``."""
        return delta / 2 if self.looks else delta


@dataclass(frozen=True, eq=False)
class ClauseBounds:
    """What one clause says about each configuration; arrays are (C,), NaN where it is not applicable.

    ``n`` units were opened, of which ``missing`` have no score; ``total`` sums their losses with missing ones
    as 1. ``estimate`` is the estimated risk over the whole list (or of a draw); NaN where not measured.
    ``upper`` and ``lower`` hold at ``level`` each; ``upper_marginal`` at delta; ``lower_failing`` at delta
    over the number of clauses. ``p_value`` tests risk > ``alpha``. With ``census`` all of them are the exact
    value. Of a row that was given up at a look ``n`` units were opened until then, and its lower bounds hold at whatever
    look that was. Bounds are computed when first asked for, from the losses of the clause, which must not change.
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
    p_value: np.ndarray
    _levels: Levels = field(repr=False)
    _answers: Answers = field(repr=False)

    @cached_property
    def upper(self) -> np.ndarray:
        """(C,) upper bounds true for all configurations together."""
        return self._answers.uppers(self._levels.simultaneous)

    @cached_property
    def lower(self) -> np.ndarray:
        """(C,) lower bounds true for all configurations together."""
        return self._answers.lowers(self._levels.below(self._levels.simultaneous))

    @cached_property
    def upper_marginal(self) -> np.ndarray:
        """(C,) upper bounds, each true for a configuration named beforehand."""
        same = self._levels.marginal == self._levels.simultaneous
        return self.upper if same else self._answers.uppers(self._levels.marginal)

    @cached_property
    def lower_failing(self) -> np.ndarray:
        """(C,) lower bounds true for all clauses of one configuration."""
        same = self._levels.failing == self._levels.simultaneous
        return self.lower if same else self._answers.lowers(self._levels.below(self._levels.failing))

    @property
    def fails(self) -> np.ndarray:
        """(C,) bool: the lower bound exceeds the budget, so this promise is broken."""
        return self.applicable & (np.nan_to_num(self.lower_failing) > self.alpha)


def bound_clause(clause: Clause, alpha: float, levels: Levels, bound: str = "auto") -> ClauseBounds:
    """Return bounds and p-values of every configuration; ``bound`` is a registered name or ``auto``."""
    theorem, rows = _theorem(clause, levels, bound), Rows(clause)
    planned: Answers = Counted(rows) if theorem is None else Bounded(rows, theorem)
    answers = Looked(rows, planned, alpha)
    units = rows.column(np.full(len(rows.used), clause.units), 0, elsewhere=0)
    n, total, missing = answers.opened(units, rows.total, rows.missing)
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
        n=n,
        total=total,
        missing=missing,
        estimate=answers.estimates(),
        p_value=answers.p_values(alpha),
        _levels=levels,
        _answers=answers,
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
