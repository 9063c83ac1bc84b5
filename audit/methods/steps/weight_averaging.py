"""Weight averaging: the unlearned model is the mean of the weights along the way, a flatter place than the last of them.

Izmailov et al. UAI 2018, arXiv:1803.05407 (SWA); as a sibling of `sam` against relearning Fan et al. ICML 2025,
arXiv:2502.05374. Training runs as without it. At its last step the weights move to the mean of those after every step from
``start`` on, that one included; a checkpoint taken earlier (``at``) is what the training was then. Where averaging starts is
ours: the second half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from audit.methods.base import STEPS
from audit.models.update import Update, plus

if TYPE_CHECKING:
    from torch import Tensor


@STEPS.register("weight_averaging")
@dataclass(frozen=True)
class WeightAveraging:
    """End at the mean of the weights after the last steps."""

    start: float = (
        0.5  # share of the steps after which weights count, in [0, 1); at the end the last one always does
    )

    source: ClassVar[str] = "arXiv:2502.05374"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset()
    never: ClassVar[str] = "only the last step counts"
    gradients: ClassVar[str] = "kept"

    def __post_init__(self) -> None:
        if not 0 <= self.start < 1:
            raise ValueError(f"start must be in [0, 1), got {self.start}")

    def correct(self, update: Update, proposed: list[Tensor]) -> list[Tensor]:
        """Return the changes as proposed; at the last step those that lead to the mean."""
        context = update.context
        first = min(math.floor(self.start * context.steps), context.steps - 1)
        if context.step < first:
            return proposed
        way = context.remember("weight averaging", _Way)
        way.go(proposed)
        if context.step + 1 < context.steps or way.count == 1:
            return proposed
        # Where the mean lies, seen from the weights before this step.
        return [change + offset for change, offset in zip(proposed, way.offset(), strict=True)]


@dataclass
class _Way:
    """Sums of how far the weights have come since the first that count: the mean without a sum of weights."""

    count: int = 0
    place: list[Tensor] = field(default_factory=list)  # of the last weights, seen from the first that count
    total: list[Tensor] = field(default_factory=list)  # of the places of all

    def go(self, change: list[Tensor]) -> None:
        """Take note of the weights after one more step."""
        if not self.count:
            self.place = self.total = [0 * part for part in change]
        else:
            self.place = plus(self.place, 1, change)
            self.total = plus(self.total, 1, self.place)
        self.count += 1

    def offset(self) -> list[Tensor]:
        """Return the mean of the places, seen from the last of them."""
        return [total / self.count - place for total, place in zip(self.total, self.place, strict=True)]
