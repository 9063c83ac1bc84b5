"""Order-free mixture e-value, for graded losses that would come out differently on repetition.

Each E_g = prod_i (1 + g (alpha - L_i)) has expectation at most 1 whenever the risk is at least alpha: for
i.i.d. draws factor by factor, for distinct units of a list because a symmetric mean of products is at most
the product of means (Maclaurin's inequality), with outcomes fixed or random. So is their average over fixed
g, and p = 1/E (Markov).
Averages over constant bets: Waudby-Smith, Ramdas. JRSS B 86(1), 2024, arXiv:2010.09686, appendix.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp, log
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import BOUNDS, Design, Sample, checked
from audit.risk.bounds.inversion import crossing


@BOUNDS.register("mixture")
@dataclass(frozen=True)
class Mixture:
    """p = 1 / mean_g E_g at the planned n; the weakest assumptions of all betting bounds."""

    bets: int = 20  # grid of constant bets, evenly spaced inside (0, 1)

    name: ClassVar[str]
    source: ClassVar[str] = "Markov and Maclaurin; cf. Waudby-Smith and Ramdas 2024"
    assumes: ClassVar[str] = (
        "losses in [0, 1]: independent draws, or distinct units drawn at random from a list,"
        " their outcomes fixed or independent given the units"
    )
    designs: ClassVar[frozenset[Design]] = frozenset({"draws", "list", "random list"})
    binary: ClassVar[bool] = False
    monotone: ClassVar[bool] = True
    order_free: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.bets < 1:
            raise ValueError(f"a mixture needs at least one bet, got bets={self.bets}")

    def upper(self, sample: Sample, delta: float) -> float:
        """Return inf{m: E(m) >= 1/delta}."""
        if not len(sample):
            return 1.0
        target = -log(checked(delta))
        return crossing(lambda mean: self._log_e_value(sample, mean), target)

    def lower(self, sample: Sample, delta: float) -> float:
        """Return one minus the upper bound of 1 - loss."""
        return 1 - self.upper(sample.mirrored(), delta)

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return min(1, 1/E)."""
        if not len(sample):
            return 1.0
        return min(1.0, exp(-self._log_e_value(sample, float(alpha))))

    def _log_e_value(self, sample: Sample, mean: float) -> float:
        grid = (np.arange(self.bets) + 0.5) / self.bets  # (B,)
        logs = np.log1p(grid[:, None] * (mean - sample.losses)).sum(axis=1)  # (B,)
        return float(np.logaddexp.reduce(logs)) - log(self.bets)
