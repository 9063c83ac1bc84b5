"""The empirical Bernstein bound: the margin shrinks with the variance that was seen.

Maurer, Pontil. Empirical Bernstein bounds and sample-variance penalization. COLT 2009, arXiv:0907.3740, Theorem 4:
with probability 1 - delta the risk is at most mean + sqrt(2 V t / n) + 7 t / (3 (n - 1)), t = ln(2 / delta), V the
unbiased sample variance. The p-value solves the same equation, quadratic in sqrt(t), for delta.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp, log, sqrt
from typing import ClassVar

from audit.risk.bounds.base import BOUNDS, Design, Sample, checked


@BOUNDS.register("maurer_pontil")
@dataclass(frozen=True)
class MaurerPontil:
    """Mean plus sqrt(2 V ln(2/delta) / n) plus 7 ln(2/delta) / (3 (n - 1))."""

    name: ClassVar[str]
    source: ClassVar[str] = "Maurer and Pontil 2009, Theorem 4"
    assumes: ClassVar[str] = "losses in [0, 1], drawn independently from one distribution"
    designs: ClassVar[frozenset[Design]] = frozenset({"draws"})
    binary: ClassVar[bool] = False
    monotone: ClassVar[bool] = False  # raising a low loss towards the mean lowers the variance
    order_free: ClassVar[bool] = True

    def upper(self, sample: Sample, delta: float) -> float:
        """Return min(1, mean + margin); 1 with fewer than two units."""
        checked(delta)
        if len(sample) < 2:
            return 1.0
        linear, square = _terms(sample)
        root = sqrt(log(2 / delta))
        return min(1.0, sample.total / len(sample) + linear * root + square * root**2)

    def lower(self, sample: Sample, delta: float) -> float:
        """Return one minus the upper bound of 1 - loss."""
        return 1 - self.upper(sample.mirrored(), delta)

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return the delta at which the upper bound is ``alpha``, at most 1."""
        if len(sample) < 2:
            return 1.0
        gap = float(alpha) - sample.total / len(sample)
        if gap <= 0:
            return 1.0
        linear, square = _terms(sample)
        root = 2 * gap / (linear + sqrt(linear**2 + 4 * square * gap))
        return min(1.0, 2 * exp(-(root**2)))


def _terms(sample: Sample) -> tuple[float, float]:
    """Return the factors of sqrt(t) and t in the margin."""
    n = len(sample)
    return sqrt(2 * float(sample.losses.var(ddof=1)) / n), 7 / (3 * (n - 1))
