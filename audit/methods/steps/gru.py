"""GRU, gradient rectified unlearning: the update may not go against a running mean of retain gradients.

Wang et al. ICML 2025, arXiv:2503.09117: the nearest update to the unlearning gradient g with <g, m> >= 0,

    g <- g - min(0, <g, m>) / |m|^2 m,        m_t = gamma g_r,t + (1 - gamma) m_(t-1),   m_0 = 0.

gamma 0.8, as in the authors' pull request to open-unlearning (#83). ``rectified=forget``: g is the gradient of the forget
term alone and the retain term only makes m, as there on gradient ascent and NPO. ``both``, the default here because every
recipe keeps its retain term: g is the gradient of the whole objective.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from audit.methods.base import STEPS
from audit.models.update import Update, dot, plus

if TYPE_CHECKING:
    from torch import Tensor


@STEPS.register("gru")
@dataclass(frozen=True)
class RectifiedGradient:
    """Take out of the update what goes against the mean of the last retain gradients."""

    gamma: float = 0.8  # share of the newest retain gradient in the running mean, in (0, 1]
    rectified: Literal["both", "forget"] = "both"  # whose gradient becomes the update

    source: ClassVar[str] = "arXiv:2503.09117"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"forget", "retain"})
    never: ClassVar[str] = "the update does not go against the running mean"
    gradients: ClassVar[str] = "changed"

    def __post_init__(self) -> None:
        if not 0 < self.gamma <= 1:
            raise ValueError(f"gamma must be in (0, 1], got {self.gamma}")
        if self.rectified not in ("both", "forget"):
            raise ValueError(f"rectified must be both or forget, got {self.rectified!r}")

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return gradients whose sum is the rectified update."""
        mean = update.context.remember("gru", _Mean).move(self.gamma, retain)
        if self.rectified == "forget":
            retain = [0 * g for g in retain]
        conflict = dot(forget, mean) + dot(retain, mean)
        if conflict >= 0:
            return forget, retain
        return plus(forget, -conflict / dot(mean, mean), mean), retain


@dataclass
class _Mean:
    """The running mean m; empty before the first step, when it is zero."""

    value: list[Tensor] = field(default_factory=list)

    def move(self, gamma: float, newest: list[Tensor]) -> list[Tensor]:
        """Return the mean with the newest gradient in it."""
        scaled = [gamma * g for g in newest]
        self.value = plus(scaled, 1 - gamma, self.value) if self.value else scaled
        return self.value
