"""What may be said about the risk of every row of a clause: counted, or bounded by one theorem.

Every answer is a (C,) array: NaN where the clause does not apply, and what absence means (p = 1, upper = 1,
lower = 0) where nothing was measured. Units opened earlier enter as counted, not through a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from audit.risk.bounds.base import Bound, Sample, exact
from audit.risk.rows import Rows


class Answers(Protocol):
    """What both kinds of answer give."""

    def estimates(self) -> np.ndarray:
        """Return (C,) estimated risks, over the whole list where there is one."""
        ...

    def p_values(self, alpha: float) -> np.ndarray:
        """Return (C,) p-values of "risk > alpha"; a missing score is a loss of 1."""
        ...

    def uppers(self, delta: float) -> np.ndarray:
        """Return (C,) upper bounds of the risk at ``delta``; a missing score is a loss of 1."""
        ...

    def lowers(self, delta: float) -> np.ndarray:
        """Return (C,) lower bounds of the risk at ``delta``; a missing score is a loss of 0."""
        ...


@dataclass(frozen=True, eq=False)
class Counted:
    """A census: every answer is the exact value; only units without a score leave something open."""

    rows: Rows

    def estimates(self) -> np.ndarray:
        """Return (C,) means over the list with missing scores as 1."""
        return self._means(self.rows.total + self.rows.seen, np.nan)

    def p_values(self, alpha: float) -> np.ndarray:
        """Return (C,) 0 where the sum is within the budget, else 1; the budget is an exact decimal."""
        rows, budget = self.rows, exact(alpha) * self._size
        most = (rows.total + rows.seen)[rows.used]
        return rows.column(np.array([float(Fraction(total) > budget) for total in most]), 1.0)

    def uppers(self, delta: float) -> np.ndarray:
        """Return (C,) means over the list with missing scores as 1, whatever ``delta``."""
        return self._means(self.rows.total + self.rows.seen, 1.0)

    def lowers(self, delta: float) -> np.ndarray:
        """Return (C,) means over the list with missing scores as 0, whatever ``delta``."""
        return self._means(self.rows.least + self.rows.seen_least, 0.0)

    @property
    def _size(self) -> int:
        return self.rows.clause.population or 1

    def _means(self, totals: np.ndarray, unmeasured: float) -> np.ndarray:
        return self.rows.column((totals / self._size)[self.rows.used], unmeasured)


@dataclass(frozen=True, eq=False)
class Bounded:
    """``theorem`` decides. One that ignores order is asked once per number of 0/1 losses that fail."""

    rows: Rows
    theorem: Bound

    def estimates(self) -> np.ndarray:
        """Return (C,) means of the units opened, carried over to the list."""
        rows = self.rows
        means = rows.total[rows.used] / max(rows.clause.units, 1)
        return rows.column(self._over_list(rows.seen, means), np.nan)

    def p_values(self, alpha: float) -> np.ndarray:
        """Return (C,) p-values of "risk over the list > ``alpha``", tested on the units not opened before."""
        rows = self.rows
        return rows.column(
            self._ask(lambda row: self._p_value(row, alpha), lambda row: (rows.total[row], rows.seen[row])),
            1.0,
        )

    def uppers(self, delta: float) -> np.ndarray:
        """Return (C,) upper bounds at ``delta``."""
        rows, theorem = self.rows, self.theorem
        rest = self._ask(lambda row: theorem.upper(self._sample(row, 1.0), delta), rows.total.__getitem__)
        return rows.column(self._over_list(rows.seen, rest), 1.0)

    def lowers(self, delta: float) -> np.ndarray:
        """Return (C,) lower bounds at ``delta``."""
        rows, theorem = self.rows, self.theorem
        rest = self._ask(lambda row: theorem.lower(self._sample(row, 0.0), delta), rows.least.__getitem__)
        return rows.column(self._over_list(rows.seen_least, rest), 0.0)

    def _ask(self, ask: Callable[[int], float], seen: Callable[[int], Hashable]) -> np.ndarray:
        """Return (R,) answers; rows of which the theorem sees the same are asked once."""
        counted = self.theorem.order_free & ~self.rows.graded
        answers: dict[Hashable, float] = {}
        found = np.empty(len(self.rows.used))
        for place, row in enumerate(self.rows.used.tolist()):
            key = ("counted", seen(row)) if counted[row] else row
            if key not in answers:
                answers[key] = ask(row)
            found[place] = answers[key]
        return found

    def _sample(self, row: int, absent: float) -> Sample:
        return Sample(self.rows.losses(row, absent), self._left, planned=self.rows.clause.units)

    @property
    def _left(self) -> int | None:
        """Units of the list that were not opened earlier."""
        clause = self.rows.clause
        return None if clause.population is None else clause.population - clause.seen_units

    def _p_value(self, row: int, alpha: float) -> float:
        clause, left = self.rows.clause, self._left
        if clause.population is None or not left or not clause.seen_units:
            return self.theorem.p_value(self._sample(row, 1.0), alpha)
        budget = (exact(alpha) * clause.population - Fraction(clause.seen_total(row))) / left
        if budget < 0:
            return 1.0  # the units seen before exceed the budget by themselves
        return 0.0 if budget >= 1 else self.theorem.p_value(self._sample(row, 1.0), budget)

    def _over_list(self, seen: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Return (R,) means over the list when units seen before sum to ``seen`` (C,) and the rest to a mean."""
        clause = self.rows.clause
        if clause.population is None or not clause.seen_units:
            return rest
        left = rest * (clause.population - clause.seen_units)
        # A whole number of units that was divided by their number is whole again.
        left = np.where(abs(left - np.round(left)) < 1e-9, np.round(left), left)
        return (seen[self.rows.used] + left) / clause.population
