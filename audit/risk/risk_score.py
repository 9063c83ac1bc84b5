"""One number per configuration, e_R = w_f R_forget + w_u R_utility, for ranking, with a bound of its own.

R_forget is the largest risk over the forget clauses. The bound needs no correction over them: to miss the
largest is to miss the one clause that attains it. e_R lets utility pay for leakage, so it never decides.

- i.i.d. draws: the i-th opened forget unit is paired with the i-th opened retain unit. Both orders are random
  and were recorded before any loss was known, so pairs are i.i.d. with mean e_R, in [0, 1], and one-sided
  betting applies (Waudby-Smith and Ramdas 2024, Theorem 3).
- finite lists: w_f U_f + w_u U_u, each bound at half of the level (union bound); a census enters exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.risk.bounds.base import Sample, build
from audit.risk.clauses import ClauseBounds, Levels, bound_clause
from audit.risk.froc import EQUAL, Weights
from audit.risk.table import Clause


@dataclass(frozen=True, eq=False)
class RiskScore:
    """e_R of every configuration; arrays are (C,).

    ``forget`` and ``utility`` are the estimated risks, ``estimate`` their weighted sum: NaN where something is
    not measured. ``upper`` misses e_R with probability at most the level that was asked for, per
    configuration; 1 of each part that is not measured.
    """

    forget: np.ndarray
    utility: np.ndarray
    estimate: np.ndarray
    upper: np.ndarray

    @property
    def ranking(self) -> list[int]:
        """Rows from the smallest estimate on; ties by the bound, then by row; unmeasured rows last."""
        keys = np.where(np.isnan(self.estimate), np.inf, self.estimate), self.upper
        return np.lexsort((keys[1], keys[0])).tolist()


def score(forget: Sequence[Clause], utility: Clause, level: float, weights: Weights = EQUAL) -> RiskScore:
    """Return e_R with an upper bound at ``level``; for bounds quoted together, pass delta / K.

    Without a forget clause nothing was promised: estimate NaN, forgetting risk at most 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got level={level}")
    halves = Levels(level / 2, level / 2, level / 2)
    told = [_bounds(clause, halves) for clause in forget]
    kept = _bounds(utility, halves)
    rows = len(utility.losses)
    leaked = _largest([np.where(b.applicable, _estimate(b), -np.inf) for b in told], rows, np.nan)
    harm = np.where(kept.applicable, _estimate(kept), np.nan)
    draws = all(clause.design == "draws" for clause in (*forget, utility))
    if draws and forget:
        upper = _paired(forget, utility, level, weights)
    else:
        most = _largest([np.where(b.applicable, b.upper, -np.inf) for b in told], rows, 1.0)
        upper = weights.forget * most + weights.utility * np.where(kept.applicable, kept.upper, 1.0)
    return RiskScore(leaked, harm, weights.forget * leaked + weights.utility * harm, upper)


def _bounds(clause: Clause, levels: Levels) -> ClauseBounds:
    return bound_clause(clause, 0.5, levels)  # the budget enters p-values only, which are not read


def _estimate(bounds: ClauseBounds) -> np.ndarray:
    """(C,) estimates; NaN where nothing was measured, also inside a clause of unmeasured units."""
    return np.where(bounds.n > bounds.missing, bounds.estimate, np.nan)


def _largest(values: list[np.ndarray], rows: int, absent: float) -> np.ndarray:
    """Return the largest (C,) over clauses; NaN wins, -inf marks a clause that does not apply."""
    largest = np.max(values, axis=0) if values else np.full(rows, -np.inf)
    return np.where(largest == -np.inf, absent, largest)


def _paired(forget: Sequence[Clause], utility: Clause, level: float, weights: Weights) -> np.ndarray:
    bound, kept = build("betting", level), _filled(utility)
    upper = np.full(len(kept), -np.inf)
    for clause in forget:
        lost = _filled(clause)
        pairs = min(lost.shape[1], kept.shape[1])
        both = weights.forget * lost[:, :pairs] + weights.utility * kept[:, :pairs]
        applies = np.ones(len(both), dtype=bool) if clause.applicable is None else clause.applicable
        for row in np.flatnonzero(applies):
            upper[row] = max(upper[row], bound.upper(Sample(np.minimum(both[row], 1.0)), level))
    return np.where(upper == -np.inf, 1.0, upper)


def _filled(clause: Clause) -> np.ndarray:
    """Return (C, n) losses with 1 for whatever is not there."""
    return np.where(clause.counts()[:, None] & ~np.isnan(clause.losses), clause.losses, 1.0)
