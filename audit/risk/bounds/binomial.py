"""Exact binomial test and Clopper-Pearson bound.

Clopper, Pearson. Biometrika 26(4), 1934. Failures k of n 0/1 losses are Bin(n, R), so
p = P(Bin(n, alpha) <= k) and the upper bound is the R at which that probability is delta.

It also holds, conservatively, for units drawn without replacement, with fixed or random outcomes: the number
of failures then has a generating function with real roots only, hence is a sum of independent Bernoullis with
mean nR, and its lower tail lies below the binomial's (Hoeffding, Ann. Math. Stat. 27, 1956, Theorem 4), for
delta < 1/4 and risks below 1 - 1/n.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar

from audit.core.lazy import lazy
from audit.risk.bounds.base import BOUNDS, Design, Sample, checked

stats = lazy("scipy.stats")


@BOUNDS.register("binomial")
@dataclass(frozen=True)
class Binomial:
    """Counts failures as integers; 0/1 losses."""

    name: ClassVar[str]
    source: ClassVar[str] = "Clopper and Pearson 1934"
    assumes: ClassVar[str] = (
        "0/1 losses: independent draws with one risk, or distinct units drawn at random from a list, their outcomes"
        " fixed or independent given the units"
    )
    designs: ClassVar[frozenset[Design]] = frozenset({"draws", "list", "random list"})
    binary: ClassVar[bool] = True
    monotone: ClassVar[bool] = True
    order_free: ClassVar[bool] = True

    def upper(self, sample: Sample, delta: float) -> float:
        """Return the 1 - delta quantile of Beta(k + 1, n - k)."""
        return _upper(sample.failures, len(sample), checked(delta))

    def lower(self, sample: Sample, delta: float) -> float:
        """Return the delta quantile of Beta(k, n - k + 1)."""
        return 1 - _upper(len(sample) - sample.failures, len(sample), checked(delta))

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return P(Bin(n, alpha) <= k)."""
        return _cdf(sample.failures, len(sample), float(alpha))


@lru_cache(maxsize=4096)
def _upper(failures: int, n: int, delta: float) -> float:
    if failures == n:
        return 1.0
    return float(stats.beta.ppf(1 - delta, failures + 1, n - failures))


@lru_cache(maxsize=4096)
def _cdf(failures: int, n: int, alpha: float) -> float:
    return float(stats.binom.cdf(failures, n, alpha)) if n else 1.0
