"""One-sided betting on i.i.d. losses.

Waudby-Smith, Ramdas. Estimating means of bounded random variables by betting. JRSS B 86(1), 2024,
arXiv:2010.09686, Theorem 3, one-sided as in Bates et al. (RCPS), J. ACM 68(6), 2021, section 3.1.
The wealth K_t(m) = prod_{i <= t} (1 + bet_i (m - L_i)) is a non-negative supermartingale whenever the risk is
at least m; by Ville's inequality it exceeds 1/delta with probability at most delta.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp, log
from typing import ClassVar

from audit.risk.bounds.base import BOUNDS, Design, Sample, checked
from audit.risk.bounds.bets import peak, predictable
from audit.risk.bounds.inversion import crossing


@BOUNDS.register("betting")
@dataclass(frozen=True)
class Betting:
    """p = 1 / max_t K_t(alpha); depends on the order, which therefore is drawn once and recorded."""

    level: float = 0.05  # error probability the bets are sized for; valid at every delta whatever it is

    name: ClassVar[str]
    source: ClassVar[str] = "Waudby-Smith and Ramdas 2024, Theorem 3"
    assumes: ClassVar[str] = (
        "losses in [0, 1], each with mean at least the risk given those before it (independent draws), in an order"
        " fixed before they were seen"
    )
    designs: ClassVar[frozenset[Design]] = frozenset({"draws"})
    binary: ClassVar[bool] = False
    # Not claimed: bets grow when the spread falls, and raising a low loss can lower it.
    monotone: ClassVar[bool] = False
    order_free: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checked(self.level)

    def upper(self, sample: Sample, delta: float) -> float:
        """Return inf{m: max_t K_t(m) >= 1/delta}."""
        if not len(sample):
            return 1.0
        target, bets = -log(checked(delta)), predictable(sample.losses, self.level, sample.horizon)
        return crossing(lambda mean: float(peak(bets, mean - sample.losses)), target)

    def lower(self, sample: Sample, delta: float) -> float:
        """Return one minus the upper bound of 1 - loss."""
        return 1 - self.upper(sample.mirrored(), delta)

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return 1 / max_t K_t(alpha)."""
        bets = predictable(sample.losses, self.level, sample.horizon)
        return exp(-float(peak(bets, float(alpha) - sample.losses)))
