"""BLUR, bilevel unlearning: forgetting comes first, retaining works in what it leaves open.

Reisizadeh et al. EACL 2026, arXiv:2506.08164: forget is the lower level, and the direction is

    g = gamma g_f + (g_r - <g_r, g_f> / |g_f|^2 g_f),

so that <g, g_f> = gamma |g_f|^2 at every step: the rate of forgetting is fixed by gamma. The mirror image of
`gu`, it protects forgetting and not utility. Published: gamma 1 (MUSE). The method's forget_weight scales g_f
before gamma does; its retain_weight scales g_r.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.methods.base import STEPS
from audit.models.update import Update, dot, plus

if TYPE_CHECKING:
    from torch import Tensor


@STEPS.register("blur")
@dataclass(frozen=True)
class BilevelDirection:
    """Take out of the retain gradient whatever changes the rate of forgetting."""

    gamma: float = 1.0  # rate of forgetting, >= 0

    source: ClassVar[str] = "arXiv:2506.08164"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"forget", "retain"})
    never: ClassVar[str] = "the gradients are orthogonal and gamma is 1"
    gradients: ClassVar[str] = "changed"

    def __post_init__(self) -> None:
        if not self.gamma >= 0:
            raise ValueError(f"gamma must not be negative, got {self.gamma}")

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return gamma g_f and the part of g_r orthogonal to g_f."""
        length = dot(forget, forget)
        scaled = [self.gamma * g for g in forget]
        return scaled, plus(retain, -dot(retain, forget) / length, forget) if length else retain
