"""The Chernoff-KL bound, the sharpest that uses exponential moments only.

Hoeffding. JASA 58(301), 1963, Theorem 1, eq. (2.1): p = exp(-n kl(mean, alpha)). Theorem 4 there carries it over
to sampling without replacement; random outcomes on distinct units follow by Maclaurin's inequality, since the
moment generating function of the sum is then a symmetric mean of products.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp, inf, log, log1p, sqrt
from typing import ClassVar

from audit.risk.bounds.base import BOUNDS, Design, Sample, checked


@BOUNDS.register("kl")
@dataclass(frozen=True)
class ChernoffKL:
    """The largest risk R with n kl(mean, R) <= ln(1/delta)."""

    name: ClassVar[str]
    source: ClassVar[str] = "Hoeffding 1963, Theorem 1"
    assumes: ClassVar[str] = (
        "losses in [0, 1]: independent draws, or distinct units drawn at random from a list,"
        " their outcomes fixed or independent given the units"
    )
    designs: ClassVar[frozenset[Design]] = frozenset({"draws", "list", "random list"})
    binary: ClassVar[bool] = False
    monotone: ClassVar[bool] = True
    order_free: ClassVar[bool] = True

    def upper(self, sample: Sample, delta: float) -> float:
        """Return the R above the mean at which n kl(mean, R) = ln(1/delta)."""
        return chernoff_upper(sample.total, len(sample), checked(delta))

    def lower(self, sample: Sample, delta: float) -> float:
        """Return one minus the upper bound of 1 - loss."""
        return 1 - self.upper(sample.mirrored(), delta)

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return exp(-n kl(mean, alpha)) for means below alpha, else 1."""
        return chernoff(sample.total, len(sample), float(alpha))


def chernoff(total: float, n: int, risk: float) -> float:
    """Return exp(-n kl(total / n, risk)), at least P(sum <= ``total``); 1 unless total / n < ``risk``."""
    if not n or total >= n * risk:
        return 1.0
    return exp(-n * _divergence(total / n, risk))


def chernoff_upper(total: float, n: int, delta: float) -> float:
    """Return the risk at which ``chernoff`` falls to ``delta`` in (0, 1]; 1 without units.

    The divergence is convex and increasing in the risk, so Newton's steps from above stay above the root.
    """
    if not n or total >= n:
        return 1.0
    mean, target = total / n, -log(delta) / n
    kept = target - (mean * log(mean) if mean else 0.0)
    # kl >= 2 (R - mean)^2, and kl loses at most -mean ln R >= 0: the smaller inverse starts above the root.
    risk = min(mean + sqrt(target / 2), 1 - (1 - mean) * exp(-kept / (1 - mean)))
    while mean < risk < 1:
        step = (_divergence(mean, risk) - target) * risk * (1 - risk) / (risk - mean)
        if not risk - step < risk:  # rounding ends the descent
            break
        risk -= step
    return risk


def _divergence(mean: float, risk: float) -> float:
    """Return kl(mean, risk) = a ln(a/b) + (1-a) ln((1-a)/(1-b)) in nats, 0 <= mean < risk; 0 ln 0 = 0."""
    if risk >= 1:
        return inf
    if not mean:
        return -log1p(-risk)
    return mean * log(mean / risk) + (1 - mean) * log((1 - mean) / (1 - risk))
