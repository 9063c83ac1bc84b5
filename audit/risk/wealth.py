"""Evidence against "this clause exceeds its budget" that may be looked at after every unit.

One gambler per alternative risk m below the budget bets against the tested mean; their average wealth E_t is a
non-negative supermartingale whenever the risk exceeds the budget, so by Ville's inequality it ever reaches
1/delta with probability at most delta, and p = 1 / max_t E_t is valid at every look (anytime).

Draws: the bet (alpha - m) / (alpha (1 - alpha)) makes the wealth on 0/1 losses the likelihood ratio of m
against alpha, averaged over m uniform in (0, alpha): the truncated mixture (Robbins, Ann. Math. Stat. 41(5),
1970; Waudby-Smith and Ramdas, JRSS B 86(1), 2024, arXiv:2010.09686, section 4).
Finite list: alpha and m are replaced by the means of what is left of the list after the units already seen
(section 5 there), so the order of the units has to be the recorded random one.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor, log

import numpy as np

from audit.risk.bounds.base import exact
from audit.risk.table import Clause

ALTERNATIVES = 64
"""Gamblers; evenly spaced alternatives differ from the continuous mixture by less than one unit to certify."""

_SLACK = 1e-9  # sums are floats; certainty is claimed only beyond rounding


class Wealth:
    """The gamblers of one clause, for all configurations; ``step`` takes the next unit of the recorded order.

    Attributes
    ----------
    opened: units taken so far.
    log_now: (C,) ln of the average wealth; inf once the list cannot exceed the budget any more.
    log_peak: (C,) its maximum so far; the anytime p-value is exp(-log_peak).
    broken: (C,) bool; the units seen exceed the budget of the whole list by themselves.

    """

    def __init__(self, clause: Clause, alpha: float | Fraction) -> None:
        rows = len(clause.losses)
        self._listed = clause.population is not None
        self._size = clause.population or 1
        self._null = float(_smallest_violation(clause, alpha))
        self._whole = bool(clause.binary)
        self._left = self._size - clause.seen_units
        self._total = np.array([clause.seen_total(row) for row in range(rows)])
        self._alternatives = float(alpha) * (np.arange(ALTERNATIVES) + 0.5) / ALTERNATIVES  # (G,)
        self._logs = np.zeros((rows, ALTERNATIVES))
        self.opened = 0
        self.log_peak = np.zeros(rows)
        self._settle(np.zeros(rows))

    @property
    def left(self) -> int | None:
        """Units of the list not opened yet; None for draws."""
        return self._left if self._listed else None

    def step(self, losses: np.ndarray) -> None:
        """Take the losses (C,) in [0, 1] of the next unit; NaN is a missing score and counts as 1."""
        losses = np.where(np.isnan(losses), 1.0, losses)
        mean, bets = self._bets()
        with np.errstate(divide="ignore"):  # all wealth lost: log 0 = -inf, and it stays lost
            self._logs = self._logs + np.log1p(np.maximum(bets * (mean - losses)[:, None], -1.0))
        self.opened += 1
        if self._listed:
            self._left -= 1
            self._total = self._total + losses
        self._settle(np.logaddexp.reduce(self._logs, axis=1) - log(ALTERNATIVES))

    def _bets(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the tested mean (C,) of what is left and the bets (C, G) against it, both predictable."""
        mean, alternative = np.full(len(self._total), self._null), self._alternatives
        if self._listed:
            mean = np.clip((self._null - self._total) / self._left, 0.0, 1.0)
            missing = alternative * self._size - self._total[:, None]
            alternative = np.clip(missing / self._left, 0.0, mean[:, None])
        spread = (mean * (1 - mean))[:, None]
        # Where the null leaves no doubt (mean 0 or 1) there is nothing to bet on.
        return mean, np.divide(
            mean[:, None] - alternative, spread, out=np.zeros_like(self._logs), where=spread > 0
        )

    def _settle(self, log_now: np.ndarray) -> None:
        self.broken, certain = np.zeros((2, len(log_now)), dtype=bool)
        if self._listed:
            missing = self._null - self._total  # what the rest would have to lose to exceed the budget
            self.broken = missing <= 0 if self._whole else missing < -_SLACK
            certain = missing > self._left + _SLACK
        self.log_now = np.where(certain, np.inf, log_now)
        self.log_peak = np.maximum(self.log_peak, self.log_now)


def _smallest_violation(clause: Clause, alpha: float | Fraction) -> Fraction:
    """Return the mean (draws) or the summed losses (list) from which on the budget is exceeded."""
    if clause.population is None:
        return exact(alpha)
    total = exact(alpha) * clause.population
    return Fraction(floor(total) + 1) if clause.binary else total
