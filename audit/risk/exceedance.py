"""How high a risk is at least, said at any look: for configurations that were given up before their last unit.

Evidence that may be looked at after every unit (``wealth``) is gathered for 1 - loss: against "at most a share s leaks",
which says of 1 - loss that its mean is at least 1 - s. By Ville's inequality the evidence ever reaches 1 / delta with
probability at most delta, whenever and why ever one stops, so each s is refuted wrongly at most that often. The bound is
the largest s of a fixed grid below which everything is refuted: missing the truth means having refuted one true s.
Ville 1939; Waudby-Smith and Ramdas, JRSS B 86(1), 2024, arXiv:2010.09686.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor, log, nextafter

import numpy as np

from audit.risk.answers import Answers
from audit.risk.bounds.base import exact
from audit.risk.rows import Rows
from audit.risk.table import Clause
from audit.risk.wealth import Wealth

STEPS = 50  # of the grid of shares; the budget is always among them


@dataclass(frozen=True, eq=False)
class Looked:
    """The answers about a clause of which some rows were given up: of these a lower bound alone, and what was seen."""

    rows: Rows
    answers: Answers
    budget: float

    def estimates(self) -> np.ndarray:
        """Return (C,) estimated risks; of a row given up the mean of the units seen until then."""
        means = self.answers.estimates()
        for row in self._given_up():
            means[row] = self.seen(row, 1.0).mean()
        return means

    def p_values(self, alpha: float) -> np.ndarray:
        """Return (C,) p-values; 1 for a row given up."""
        return self.answers.p_values(alpha)

    def uppers(self, delta: float) -> np.ndarray:
        """Return (C,) upper bounds; 1 for a row given up."""
        return self.answers.uppers(delta)

    def lowers(self, delta: float) -> np.ndarray:
        """Return (C,) lower bounds at ``delta``; those of rows given up hold at whatever look it was."""
        bounds, given_up = self.answers.lowers(delta), self._given_up()
        for count in np.unique(self._looked[given_up]):
            rows = given_up[self._looked[given_up] == count]
            losses = np.array([self.seen(row, 0.0) for row in rows])
            bounds[rows] = anytime_lower(self.rows.clause, rows, losses, self.budget, delta)
        return bounds

    def opened(self, n: np.ndarray, total: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the three (C,) columns with those of rows given up filled in."""
        n, total, missing = n.copy(), total.copy(), missing.copy()
        for row in self._given_up():
            n[row], total[row] = self._looked[row], self.seen(row, 1.0).sum()
            missing[row] = np.isnan(self.rows.clause.losses[row, : self._looked[row]]).sum()
        return n, total, missing

    def seen(self, row: int, absent: float) -> np.ndarray:
        """Return the losses of the units seen of a row given up, with ``absent`` in place of missing scores."""
        return self.rows.losses(row, absent)[: self._looked[row]]

    @property
    def _looked(self) -> np.ndarray:
        looked = self.rows.clause.looked
        return np.zeros(len(self.rows.clause.losses), dtype=int) if looked is None else np.asarray(looked)

    def _given_up(self) -> np.ndarray:
        return np.flatnonzero(self._looked)


def anytime_lower(
    clause: Clause, rows: np.ndarray, losses: np.ndarray, budget: float, delta: float
) -> np.ndarray:
    """Return (R,) L in [0, 1] with P(some look gives L > risk) <= delta for each row; 0 where nothing is refuted.

    ``losses``: (R, n) those of the first n units of the recorded order, in [0, 1], a missing score as 0. ``budget`` is one
    of the shares that are tested, so that L exceeds it exactly when it is refuted.
    """
    found, going = np.zeros(len(rows)), np.arange(len(rows))
    for null, at_least in _shares(clause, budget):
        wealth = Wealth(_mirrored(clause, rows[going]), null)
        for column in losses[going].T:
            wealth.step(1.0 - column)
        going = going[wealth.log_peak >= -log(delta)]
        found[going] = at_least
        if not len(going):
            break
    return found


def _shares(clause: Clause, budget: float) -> Iterator[tuple[Fraction, float]]:
    """Yield, ascending, the mean of 1 - loss from which on a share is kept, and what refuting that share shows."""
    shares = sorted({exact(budget), *(Fraction(step, STEPS) for step in range(STEPS))})
    size = clause.population
    if size is None or not clause.binary:
        # The risk is larger than the share: by as little as two numbers can differ.
        yield from ((1 - share, nextafter(float(share), 1.0)) for share in shares if share > 0)
        return
    for most in sorted({floor(share * size) for share in shares} - {size}):
        # At most ``most`` of the list leak if at least size - most do not: one more than ``wealth`` takes as kept.
        yield Fraction(size - most - 1, size), (most + 1) / size


def _mirrored(clause: Clause, rows: np.ndarray) -> Clause:
    """Return the clause of 1 - loss, before its first unit; what an earlier audit has no score of counts as no loss."""
    least = np.array([clause.seen_least(row) for row in rows])
    return Clause(
        clause.name,
        clause.side,
        np.zeros((len(rows), 0)),
        clause.population,
        seen_units=clause.seen_units,
        seen_totals=clause.seen_units - least if clause.seen_units else None,
        fixed=clause.fixed,
        binary=clause.binary,
    )
