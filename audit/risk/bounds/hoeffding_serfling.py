"""Hoeffding's margin for a finite list: it vanishes as the list is used up.

Bardenet, Maillard. Concentration inequalities for sampling without replacement. Bernoulli 21(3), 2015,
arXiv:1309.4029, Theorem 2.4 and Corollary 2.5, after Serfling, Ann. Statist. 2, 1974:
margin sqrt(rho ln(1/delta) / 2n) with rho the smaller of 1 - (n - 1)/N (Serfling) and (1 - n/N)(1 + 1/n) (theirs).
Which one is smaller depends on n and N only, so choosing costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp, log, sqrt
from typing import ClassVar

from audit.risk.bounds.base import BOUNDS, Design, Sample, checked


@BOUNDS.register("hoeffding_serfling")
@dataclass(frozen=True)
class HoeffdingSerfling:
    """Mean plus sqrt(rho ln(1/delta) / 2n); rho falls from 1 to 0 as the list is used up."""

    name: ClassVar[str]
    source: ClassVar[str] = "Bardenet and Maillard 2015, Corollary 2.5"
    assumes: ClassVar[str] = (
        "units drawn at random without replacement from a list, one fixed loss in [0, 1] each"
    )
    designs: ClassVar[frozenset[Design]] = frozenset({"list"})
    binary: ClassVar[bool] = False
    monotone: ClassVar[bool] = True
    order_free: ClassVar[bool] = True

    def upper(self, sample: Sample, delta: float) -> float:
        """Return min(1, mean + margin); the mean itself once every unit was seen."""
        checked(delta)
        if not len(sample):
            return 1.0
        margin = sqrt(-log(delta) * _shrinkage(sample) / (2 * len(sample)))
        return min(1.0, sample.total / len(sample) + margin)

    def lower(self, sample: Sample, delta: float) -> float:
        """Return one minus the upper bound of 1 - loss."""
        return 1 - self.upper(sample.mirrored(), delta)

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return exp(-2 n (alpha - mean)^2 / rho) for means below alpha, else 1; 0 or 1 once all were seen."""
        if not len(sample):
            return 1.0
        shrinkage, gap = _shrinkage(sample), float(alpha) - sample.total / len(sample)
        if not shrinkage:
            return 0.0 if gap >= 0 else 1.0
        return exp(-2 * len(sample) * max(gap, 0.0) ** 2 / shrinkage)


def _shrinkage(sample: Sample) -> float:
    """Return rho in [0, 1]."""
    n, size = len(sample), sample.population
    if size is None:
        raise ValueError("Hoeffding-Serfling needs the size of the list, got population=None")
    return min(1 - (n - 1) / size, (1 - n / size) * (1 + 1 / n))
