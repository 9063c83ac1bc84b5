"""Hoeffding's inequality, the loosest of the baselines.

Hoeffding. JASA 58(301), 1963, Theorem 2: p = exp(-2 n (alpha - mean)^2). His section 6 carries it over to
sampling without replacement; random outcomes on distinct units follow by Maclaurin's inequality.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp, log, sqrt
from typing import ClassVar

from audit.risk.bounds.base import BOUNDS, Design, Sample, checked


@BOUNDS.register("hoeffding")
@dataclass(frozen=True)
class Hoeffding:
    """Mean plus sqrt(ln(1/delta) / 2n)."""

    name: ClassVar[str]
    source: ClassVar[str] = "Hoeffding 1963, Theorem 2"
    assumes: ClassVar[str] = (
        "losses in [0, 1]: independent draws, or distinct units drawn at random from a list,"
        " their outcomes fixed or independent given the units"
    )
    designs: ClassVar[frozenset[Design]] = frozenset({"draws", "list", "random list"})
    binary: ClassVar[bool] = False
    monotone: ClassVar[bool] = True
    order_free: ClassVar[bool] = True

    def upper(self, sample: Sample, delta: float) -> float:
        """Return min(1, mean + margin)."""
        if not len(sample):
            return 1.0
        return min(1.0, sample.total / len(sample) + sqrt(-log(checked(delta)) / (2 * len(sample))))

    def lower(self, sample: Sample, delta: float) -> float:
        """Return max(0, mean - margin)."""
        return 1 - self.upper(sample.mirrored(), delta)

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return exp(-2 n (alpha - mean)^2) for means below alpha, else 1."""
        if not len(sample):
            return 1.0
        return exp(-2 * len(sample) * max(float(alpha) - sample.total / len(sample), 0.0) ** 2)
