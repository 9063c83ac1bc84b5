"""Curvature regularization of the forget term: its gradient may not change along itself, against relearning.

Fan et al. ICML 2025, arXiv:2502.05374, a sibling of `sam`: minimise forget(theta) + weight |d| plus retain(theta), with
d = grad forget(theta + mu v) - grad forget(theta) and v = g / |g|, held fixed (Moosavi-Dezfooli et al. CVPR 2019,
arXiv:1811.09716). The gradient of |d| is (H(theta + mu v) - H(theta)) d / |d|, and either product is a difference of two
gradients at ``mu`` along d. Published weight: 10; mu is ours.
What is known by heart lies where the loss is flat: from there a weight of 0.3 or more kept everything remembered on a small
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


@STEPS.register("curvature_regularization")
@dataclass(frozen=True)
class CurvatureRegularization:
    """Add the gradient of how much the forget gradient changes along itself."""

    weight: float = 0.01  # of the change, >= 0; 0 is the plain gradient
    mu: float = 0.01  # in weight space, how far along the gradient the change is taken, > 0

    source: ClassVar[str] = "arXiv:2502.05374"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 2.5
    needs: ClassVar[frozenset[str]] = frozenset({"forget"})
    never: ClassVar[str] = "weight is 0, or the forget gradient or its change is"
    gradients: ClassVar[str] = "afresh"

    def __post_init__(self) -> None:
        if not (self.weight >= 0 and self.mu > 0):
            raise ValueError(f"weight must be >= 0 and mu > 0, got {self.weight} and {self.mu}")

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return g_f + weight (H(theta + mu v) - H(theta)) d / |d| and the retain gradient as it came."""
        along = _scaled(forget, self.mu) if self.weight else []
        if not along:
            return forget, retain
        ahead = self._at(update, along)
        change = plus(ahead, -1, forget)
        aside = _scaled(change, self.mu)
        if not aside:
            return forget, retain
        both = self._at(update, plus(along, 1, aside))
        beside = self._at(update, aside)
        bend = plus(plus(both, -1, ahead), -1, plus(beside, -1, forget))
        return plus(forget, self.weight / self.mu, bend), retain

    def _at(self, update: Update, shift: list[Tensor]) -> list[Tensor]:
        with elsewhere(update, shift):
            return update.gradient("forget")


def _scaled(direction: list[Tensor], length: float) -> list[Tensor]:
    """Return ``direction`` at the given length; empty where it is zero."""
    own = math.sqrt(dot(direction, direction))
    return [length / own * part for part in direction] if own else []
