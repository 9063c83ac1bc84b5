"""Hoeffding-Bentkus, the usual bound of risk control (RCPS, LTT) and our named baseline.

Bates, Angelopoulos, Lei, Malik, Jordan. J. ACM 68(6), 2021, section 3.1; Hoeffding 1963, Theorem 1;
Bentkus, Ann. Probab. 32(2), 2004. The smaller of two tail bounds, both monotone in the same mean, so that
taking the minimum costs nothing. Both rest on convex functions of the sum and so survive sampling without
replacement (Hoeffding 1963, Theorem 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, e, exp, fsum, log
from typing import ClassVar

import numpy as np

from audit.core.lazy import lazy
from audit.risk.bounds.base import BOUNDS, Design, Sample, checked, smallest

stats = lazy("scipy.stats")


@BOUNDS.register("hoeffding_bentkus")
@dataclass(frozen=True)
class HoeffdingBentkus:
    """min of exp(-n kl(mean, alpha)) and e P(Bin(n, alpha) <= ceil(sum))."""

    name: ClassVar[str]
    source: ClassVar[str] = "Bates et al. 2021, section 3.1"
    designs: ClassVar[frozenset[Design]] = frozenset({"draws", "list"})
    binary: ClassVar[bool] = False
    monotone: ClassVar[bool] = True
    order_free: ClassVar[bool] = True

    def upper(self, sample: Sample, delta: float) -> float:
        """Return the smaller of the two inverted tail bounds."""
        n, total = len(sample), fsum(sample.losses)
        checked(delta)
        if not n or total >= n:
            return 1.0
        mean = total / n
        chernoff = smallest(lambda risks: (risks > mean) & (n * _divergence(mean, risks) >= -log(delta)))
        whole = ceil(total)
        bentkus = 1.0 if whole == n else float(stats.beta.ppf(1 - delta / e, whole + 1, n - whole))
        return min(chernoff, bentkus)

    def lower(self, sample: Sample, delta: float) -> float:
        """Return one minus the upper bound of 1 - loss."""
        return 1 - self.upper(sample.mirrored(), delta)

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return the smaller of the two tail bounds at ``alpha``."""
        n, total, budget = len(sample), fsum(sample.losses), float(alpha)
        if not n or total >= n * budget:
            return 1.0
        bentkus = e * float(stats.binom.cdf(ceil(total), n, budget))
        return min(1.0, exp(-n * float(_divergence(total / n, np.array(budget)))), bentkus)


def _divergence(mean: float, risks: np.ndarray) -> np.ndarray:
    """Return kl(mean, risk) = a ln(a/b) + (1-a) ln((1-a)/(1-b)) in nats, mean < risk < 1; 0 ln 0 = 0."""
    risks = np.where(risks > mean, risks, 1.0 if mean >= 1 else (1 + mean) / 2)  # elsewhere it is not asked
    known = mean * np.log(mean / risks) if mean > 0 else 0.0
    return known + (1 - mean) * np.log((1 - mean) / (1 - risks))
