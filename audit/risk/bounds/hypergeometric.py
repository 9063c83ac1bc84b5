"""Exact bound for 0/1 losses on a finite list.

Design-based, no assumption on the list: n units drawn without replacement from N of which M fail give
Hyp(N, M, n) failures. Konijn, Statistical Theory of Sample Survey Design and Analysis, 1973;
Wright, Exact Confidence Bounds when Sampling from Small Finite Universes, 1991.
Everything is counted in integers: risk > alpha means M >= floor(alpha N) + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import floor
from typing import ClassVar

from audit.core.lazy import lazy
from audit.risk.bounds.base import BOUNDS, Design, Sample, checked, exact

stats = lazy("scipy.stats")


@BOUNDS.register("hypergeometric")
@dataclass(frozen=True)
class Hypergeometric:
    """Counts failures of the sample and of the list; fixed 0/1 losses."""

    name: ClassVar[str]
    source: ClassVar[str] = "Konijn 1973; Wright 1991"
    assumes: ClassVar[str] = "units drawn at random without replacement from a list, one fixed 0/1 loss each"
    designs: ClassVar[frozenset[Design]] = frozenset({"list"})
    binary: ClassVar[bool] = True
    monotone: ClassVar[bool] = True
    order_free: ClassVar[bool] = True

    def upper(self, sample: Sample, delta: float) -> float:
        """Return M+ / N with M+ the largest M for which P(Hyp(N, M, n) <= k) > delta."""
        if not len(sample):
            return 1.0
        size = _size(sample)
        return most_failing(sample.failures, len(sample), size, checked(delta)) / size

    def lower(self, sample: Sample, delta: float) -> float:
        """Return M- / N with M- the smallest M for which P(Hyp(N, M, n) >= k) > delta."""
        if not len(sample):
            return 0.0
        size = _size(sample)
        passing = most_failing(len(sample) - sample.failures, len(sample), size, checked(delta))
        return (size - passing) / size

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return P(Hyp(N, floor(alpha N) + 1, n) <= k); 0 where no list could exceed alpha."""
        if not len(sample):
            return 1.0
        size = _size(sample)
        null = floor(exact(alpha) * size) + 1
        return _cdf(sample.failures, size, null, len(sample)) if null <= size else 0.0


def most_failing(failures: int, n: int, size: int, delta: float) -> int:
    """Return the largest number of failing units of ``size`` that the sample leaves possible at ``delta``."""
    return _most_failing(failures, n, size, delta)


@lru_cache(maxsize=4096)
def _most_failing(failures: int, n: int, size: int, delta: float) -> int:
    low, high = (
        failures,
        size - (n - failures),
    )  # at low the probability is 1; above high the sample is impossible
    while low < high:
        middle = (low + high + 1) // 2
        if _cdf(failures, size, middle, n) > delta:
            low = middle
        else:
            high = middle - 1
    return low


@lru_cache(maxsize=16384)
def _cdf(failures: int, size: int, failing: int, n: int) -> float:
    return float(stats.hypergeom.cdf(failures, size, failing, n))


def _size(sample: Sample) -> int:
    if sample.population is None:
        raise ValueError("hypergeometric needs the size of the list, got population=None")
    return sample.population
