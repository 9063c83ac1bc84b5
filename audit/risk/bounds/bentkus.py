"""Bentkus' inequality: the binomial tail, at the price of a factor e, for every loss in [0, 1].

Bentkus. On Hoeffding's inequalities. Ann. Probab. 32(2), 2004, Theorem 1.1:
P(sum <= k) <= e P(Bin(n, R) <= k) at whole k, hence at the next whole number above the sum. It follows from
E f(sum) <= E f(Bin(n, R)) for convex f, which survives sampling without replacement (Hoeffding 1963, Theorem 4).
With random outcomes on distinct units the sum lies below a count with a real-rooted generating function, a sum of
independent Bernoullis with mean nR, in the same order (Hoeffding 1956, Theorem 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, e
from typing import ClassVar

from audit.core.lazy import lazy
from audit.risk.bounds.base import BOUNDS, Design, Sample, checked

special = lazy("scipy.special")


@BOUNDS.register("bentkus")
@dataclass(frozen=True)
class Bentkus:
    """p = e P(Bin(n, alpha) <= ceil(sum))."""

    name: ClassVar[str]
    source: ClassVar[str] = "Bentkus 2004, Theorem 1.1"
    assumes: ClassVar[str] = (
        "losses in [0, 1]: independent draws, or distinct units drawn at random from a list,"
        " their outcomes fixed or independent given the units"
    )
    designs: ClassVar[frozenset[Design]] = frozenset({"draws", "list", "random list"})
    binary: ClassVar[bool] = False
    monotone: ClassVar[bool] = True
    order_free: ClassVar[bool] = True

    def upper(self, sample: Sample, delta: float) -> float:
        """Return the 1 - delta / e quantile of Beta(k + 1, n - k), k the sum rounded up."""
        return bentkus_upper(whole(sample.total, len(sample)), len(sample), checked(delta))

    def lower(self, sample: Sample, delta: float) -> float:
        """Return one minus the upper bound of 1 - loss."""
        return 1 - self.upper(sample.mirrored(), delta)

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return min(1, e P(Bin(n, alpha) <= k)), k the sum rounded up."""
        return bentkus(whole(sample.total, len(sample)), len(sample), float(alpha))


def bentkus(count: int, n: int, risk: float) -> float:
    """Return min(1, e P(Bin(n, risk) <= count))."""
    if count >= n:
        return 1.0
    return min(1.0, e * float(special.betaincc(count + 1, n - count, risk)))


def bentkus_upper(count: int, n: int, delta: float) -> float:
    """Return the risk at which ``bentkus`` falls to ``delta`` in (0, 1]; 1 when all of ``n`` are counted."""
    return 1.0 if count >= n else float(special.betainccinv(count + 1, n - count, delta / e))


def whole(total: float, n: int) -> int:
    """Return the smallest integer not below the sum of ``n`` losses.

    A sum that only rounding holds apart from an integer is that integer: a loss of 1/3 is stored to within
    2**-54, so ``n`` of them miss by less than n 2**-52. (``ceil(n * mean)`` makes 15 of 14 failures in 200.)
    """
    nearest = round(total)
    return nearest if abs(total - nearest) <= n * 2.0**-52 else ceil(total)
