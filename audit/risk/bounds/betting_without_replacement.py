"""One-sided betting on a finite list.

Waudby-Smith, Ramdas. JRSS B 86(1), 2024, arXiv:2010.09686, section 5. Of N units with mean m, those not yet
seen after i - 1 have the mean mu_i(m) = (N m - L_1 - ... - L_{i-1}) / (N - i + 1); bet against that. For the
one-sided null (mean > alpha): mu_i > 1 is impossible, so it certifies; mu_i <= 0 says that the seen losses
alone make the mean at least m, so betting stops and nothing is certified. (Code for two-sided intervals
rejects in both cases; used one-sided it would certify the worst lists.)
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp, inf, log
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import BOUNDS, Design, Sample, checked, exact
from audit.risk.bounds.bets import peak, predictable
from audit.risk.bounds.inversion import crossing

_SLACK = 1e-9  # mu is a float; certainty is claimed only beyond rounding


@BOUNDS.register("betting_without_replacement")
@dataclass(frozen=True)
class BettingWithoutReplacement:
    """p = 1 / max_t K_t(alpha) with bets against the mean of what is left; fixed losses in [0, 1]."""

    level: float = 0.05  # error probability the bets are sized for; valid at every delta whatever it is

    name: ClassVar[str]
    source: ClassVar[str] = "Waudby-Smith and Ramdas 2024, section 5"
    assumes: ClassVar[str] = (
        "units drawn at random without replacement from a list, one fixed loss in [0, 1] each, in the order of the draw"
    )
    designs: ClassVar[frozenset[Design]] = frozenset({"list"})
    binary: ClassVar[bool] = False
    monotone: ClassVar[bool] = False  # as in betting
    order_free: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checked(self.level)

    def upper(self, sample: Sample, delta: float) -> float:
        """Return inf{m: p(m) <= delta}; never below what the seen losses alone add up to."""
        if not len(sample):
            return 1.0
        target, bets, seen = -log(checked(delta)), self._bets(sample), _seen(sample)
        return crossing(lambda mean: _evidence(sample, bets, seen, mean * _size(sample)), target)

    def lower(self, sample: Sample, delta: float) -> float:
        """Return one minus the upper bound of 1 - loss."""
        return 1 - self.upper(sample.mirrored(), delta)

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return 1 / max_t K_t(alpha), 0 where the list cannot exceed alpha, 1 where it must."""
        if not len(sample):
            return 1.0
        total = float(exact(alpha) * _size(sample))
        return exp(-_evidence(sample, self._bets(sample), _seen(sample), total))

    def _bets(self, sample: Sample) -> np.ndarray:
        return predictable(sample.losses, self.level, sample.horizon)


def _evidence(sample: Sample, bets: np.ndarray, seen: np.ndarray, total: float) -> float:
    """Return max_t ln K_t against lists that sum to ``total``; inf if there are none, 0 if the seen losses do."""
    if total < sample.total:
        return 0.0
    left = _size(sample) - np.arange(len(sample) + 1)  # units not yet seen, (n + 1,)
    missing = total - seen  # what the unseen units would have to lose, (n + 1,)
    if bool((missing > left + _SLACK).any()):
        return inf
    means = np.clip(missing[:-1] / left[:-1], 0.0, 1.0)  # mu_i, (n,)
    return float(peak(np.where(means > 0, bets, 0.0), means - sample.losses))


def _seen(sample: Sample) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(sample.losses)])  # sum before unit i and after the last, (n + 1,)


def _size(sample: Sample) -> int:
    if sample.population is None:
        raise ValueError("betting without replacement needs the size of the list, got population=None")
    return sample.population
