"""Gradient penalty on the forget term: forget where the loss is flat, against relearning.

Fan et al. ICML 2025, arXiv:2502.05374, a sibling of `sam`: minimise forget(theta) + weight |grad forget(theta)| plus
retain(theta). The penalty's gradient is H g / |g|, taken as the difference of two forget gradients at ``distance`` along
g; `sam` is what comes out where weight and distance are both rho. Published weight: 10; the distance is ours.
What is known by heart lies where the loss is flat: from there a weight of 0.1 or more kept everything remembered on a small
model, so the default is `sam`'s radius, ours too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.methods.base import STEPS
from audit.models.update import Update, dot, elsewhere, plus

if TYPE_CHECKING:
    from torch import Tensor


@STEPS.register("gradient_penalty")
@dataclass(frozen=True)
class GradientPenalty:
    """Add the gradient of the forget gradient's length."""

    weight: float = 0.01  # of the length, >= 0; 0 is the plain gradient
    distance: float = 0.01  # in weight space, over which the gradient's change is taken, > 0

    source: ClassVar[str] = "arXiv:2502.05374"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 1.5
    needs: ClassVar[frozenset[str]] = frozenset({"forget"})
    never: ClassVar[str] = "weight is 0, or the forget gradient is"
    gradients: ClassVar[str] = "afresh"

    def __post_init__(self) -> None:
        if not (self.weight >= 0 and self.distance > 0):
            raise ValueError(f"weight must be >= 0 and distance > 0, got {self.weight} and {self.distance}")

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return g_f + weight H g_f / |g_f| and the retain gradient as it came."""
        length = math.sqrt(dot(forget, forget))
        if not self.weight or not length:
            return forget, retain
        with elsewhere(update, [self.distance / length * g for g in forget]):
            further = update.gradient("forget")
        return plus(forget, self.weight / self.distance, plus(further, -1, forget)), retain
