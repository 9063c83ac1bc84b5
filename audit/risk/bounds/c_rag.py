"""The bound of C-RAG, our named baseline, as its propositions state it.

Kang, Gürel, Yu, Song, Li. ICML 2024, arXiv:2402.03181. Proposition 1 is one-sided Hoeffding-Bentkus for one
configuration. Under a shift of the losses' distribution by at most ``radius`` in Hellinger distance, the Gramian
bound of Weber et al. (ICML 2022) replaces the risk R by R + r^2 (2 - r^2)(1 - R) + 2 r (1 - r^2) sqrt(2 - r^2) sd.
Mean and standard deviation are replaced by upper bounds at delta / 4 each (Hoeffding; Maurer and Pontil 2009,
Theorem 10), and the result is put, as published, through Proposition 1 once more, which can only raise it.
Where the Gramian bound has no meaning (too large a radius) the expression is at least 1, so nothing is claimed.

The released code searches the inverse with a general root finder from mean + 0.02 and meets 0 log 0 at mean 0,
where it returns 0.02 whatever n. Both inverses are monotone and solved as such here.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp, log, sqrt
from typing import ClassVar

from audit.risk.bounds.base import BOUNDS, Design, Sample, checked
from audit.risk.bounds.hoeffding_bentkus import tail, tail_upper

_LEAST = -700.0  # ln of the smallest p-value that is told apart


@BOUNDS.register("c_rag")
@dataclass(frozen=True)
class CRAG:
    """Hoeffding-Bentkus, as it is at radius 0, else for every distribution within that Hellinger distance."""

    radius: float = 0.0  # an assumption about where the model will be used; no calibration data can check it

    name: ClassVar[str]
    source: ClassVar[str] = "Kang et al. 2024, Proposition 1"
    assumes: ClassVar[str] = (
        "losses in [0, 1], drawn independently from one distribution; the risk is that of any distribution within"
        " the stated Hellinger radius (0: of the same one)"
    )
    designs: ClassVar[frozenset[Design]] = frozenset({"draws"})
    binary: ClassVar[bool] = False
    monotone: ClassVar[bool] = False  # with a radius the variance enters, and raising a low loss can lower it
    order_free: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= 1:
            raise ValueError(f"a Hellinger distance lies in [0, 1], got radius={self.radius}")

    def upper(self, sample: Sample, delta: float) -> float:
        """Return the Hoeffding-Bentkus bound of the mean, inflated for the shift."""
        return self._upper(sample, checked(delta))

    def lower(self, sample: Sample, delta: float) -> float:
        """Return one minus the upper bound of 1 - loss."""
        return 1 - self.upper(sample.mirrored(), delta)

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return the delta at which the upper bound is ``alpha``, at most 1."""
        if not self.radius:
            return tail(sample.total, len(sample), float(alpha))
        return self._inverted(sample, float(alpha))

    def _upper(self, sample: Sample, delta: float) -> float:
        n = len(sample)
        total = sample.total if not self.radius else n * self._shifted_mean(sample, delta)
        return tail_upper(total, n, delta)

    def _shifted_mean(self, sample: Sample, delta: float) -> float:
        """Return the inflated empirical risk of C-RAG's shift theorem; 1 with fewer than two units."""
        n = len(sample)
        if n < 2:
            return 1.0
        mean = sample.total / n + sqrt(log(4 / delta) / (2 * n))
        deviation = sqrt(float(sample.losses.var(ddof=1))) + sqrt(2 * log(4 / delta) / (n - 1))
        return gramian(mean, deviation, self.radius) + sqrt(log(8 / delta) / (2 * n))

    def _inverted(self, sample: Sample, alpha: float) -> float:
        """Return the smallest delta at which ``_upper`` is within ``alpha``, from above, by bisection."""
        if self._upper(sample, 1.0) > alpha:
            return 1.0
        low, high = _LEAST, 0.0
        while high - low > 1e-12:
            middle = (low + high) / 2
            low, high = (low, middle) if self._upper(sample, exp(middle)) <= alpha else (middle, high)
        return exp(high)


def gramian(mean: float, deviation: float, radius: float) -> float:
    """Return a bound on the risk of every distribution within Hellinger ``radius`` of one with these moments.

    mean + r^2 (2 - r^2)(1 - mean) + 2 r (1 - r^2) sqrt(2 - r^2) deviation, for losses in [0, 1]; at least 1 where
    it says nothing. It rises with ``mean`` and ``deviation``, so upper bounds may stand in for both.
    """
    kept, lost = 1 - radius**2, radius**2 * (2 - radius**2)
    return mean * kept**2 + lost + 2 * kept * sqrt(lost) * deviation
