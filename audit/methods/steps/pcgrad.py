"""PCGrad, gradient surgery: where the two gradients conflict, each gives up its part along the other.

Yu et al. NeurIPS 2020, arXiv:2001.06782, algorithm 1 for two tasks. With g_f and g_r the gradients of the
weighted terms and <g_f, g_r> < 0:

    g_f <- g_f - <g_f, g_r> / |g_r|^2 g_r        g_r <- g_r - <g_r, g_f> / |g_f|^2 g_f

both with the gradients as they came. Inner products run over all weights in scope at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.methods.base import STEPS
from audit.models.update import Update, dot, plus

if TYPE_CHECKING:
    from torch import Tensor


@STEPS.register("pcgrad")
@dataclass(frozen=True)
class GradientSurgery:
    """Take the conflicting part out of both gradients."""

    source: ClassVar[str] = "arXiv:2001.06782"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"forget", "retain"})
    never: ClassVar[str] = "the gradients do not conflict"
    gradients: ClassVar[str] = "changed"

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return each gradient without its part against the other."""
        conflict = dot(forget, retain)
        if conflict >= 0:
            return forget, retain
        return (
            plus(forget, -conflict / dot(retain, retain), retain),
            plus(retain, -conflict / dot(forget, forget), forget),
        )
