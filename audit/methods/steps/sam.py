"""SAM, sharpness-aware minimisation of the forget term: forget in a whole neighbourhood, against relearning.

Fan et al. ICML 2025, arXiv:2502.05374, after Foret et al. ICLR 2021, arXiv:2010.01412: minimise max over
|e| <= rho of forget(theta + e), plus retain(theta). To first order e = rho g_f / |g_f|; the forget gradient is
taken at theta + e, the retain gradient at theta. Published rho: 0.01. The weights come back bit by bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.methods.base import STEPS
from audit.models.update import Update, dot, elsewhere

if TYPE_CHECKING:
    from torch import Tensor


@STEPS.register("sam")
@dataclass(frozen=True)
class SharpnessAware:
    """Take the forget gradient where the weights remember best, within a small ball."""

    rho: float = 0.01  # radius of the ball in weight space, >= 0; 0 is the plain gradient

    source: ClassVar[str] = "arXiv:2502.05374"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.5
    needs: ClassVar[frozenset[str]] = frozenset({"forget"})
    never: ClassVar[str] = "rho is 0, or the forget gradient is"
    gradients: ClassVar[str] = "afresh"

    def __post_init__(self) -> None:
        if not self.rho >= 0:
            raise ValueError(f"rho must not be negative, got {self.rho}")

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the forget gradient at theta + rho g_f / |g_f| and the retain gradient as it came."""
        length = math.sqrt(dot(forget, forget))
        if not self.rho or not length:
            return forget, retain
        with elsewhere(update, [self.rho / length * g for g in forget]):
            return update.gradient("forget"), retain
