"""Hoeffding-Bentkus, the usual bound of risk control (RCPS, LTT) and our named baseline.

Bates, Angelopoulos, Lei, Malik, Jordan. J. ACM 68(6), 2021, section 3.1; Hoeffding 1963, Theorem 1;
Bentkus, Ann. Probab. 32(2), 2004. The smaller of two tail bounds, both monotone in the same mean, so that
taking the minimum costs nothing. It holds wherever both do (``kl``, ``bentkus``).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from audit.risk.bounds.base import BOUNDS, Design, Sample, checked
from audit.risk.bounds.bentkus import bentkus, bentkus_upper, whole
from audit.risk.bounds.kl import chernoff, chernoff_upper


@BOUNDS.register("hoeffding_bentkus")
@dataclass(frozen=True)
class HoeffdingBentkus:
    """min of exp(-n kl(mean, alpha)) and e P(Bin(n, alpha) <= ceil(sum))."""

    name: ClassVar[str]
    source: ClassVar[str] = "Bates et al. 2021, section 3.1"
    assumes: ClassVar[str] = (
        "losses in [0, 1]: independent draws, or distinct units drawn at random from a list,"
        " their outcomes fixed or independent given the units"
    )
    designs: ClassVar[frozenset[Design]] = frozenset({"draws", "list", "random list"})
    binary: ClassVar[bool] = False
    monotone: ClassVar[bool] = True
    order_free: ClassVar[bool] = True

    def upper(self, sample: Sample, delta: float) -> float:
        """Return the smaller of the two inverted tail bounds."""
        return tail_upper(sample.total, len(sample), checked(delta))

    def lower(self, sample: Sample, delta: float) -> float:
        """Return one minus the upper bound of 1 - loss."""
        return 1 - self.upper(sample.mirrored(), delta)

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return the smaller of the two tail bounds at ``alpha``."""
        return tail(sample.total, len(sample), float(alpha))


def tail(total: float, n: int, risk: float) -> float:
    """Return the smaller bound on P(sum <= ``total``) when the mean loss is ``risk``; 1 without units."""
    if not n or total >= n * risk:
        return 1.0
    return min(chernoff(total, n, risk), bentkus(whole(total, n), n, risk))


def tail_upper(total: float, n: int, delta: float) -> float:
    """Return the risk at which ``tail`` falls to ``delta`` in (0, 1]; 1 without units or at a mean of 1."""
    if not n or total >= n:
        return 1.0
    return min(chernoff_upper(total, n, delta), bentkus_upper(whole(total, n), n, delta))
