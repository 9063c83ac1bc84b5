"""Randomised smoothing of the forget term: forget under small random changes of the weights.

Fan et al. ICML 2025, arXiv:2502.05374, a sibling of `sam`: minimise the mean of forget(theta + e) over e ~
N(0, sigma^2), plus retain(theta). The mean gradient is estimated from
a few draws; their number is ours. Published sigma: 1e-4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.lazy import lazy
from audit.methods.base import STEPS
from audit.models.update import Update, elsewhere, plus

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@STEPS.register("randomized_smoothing")
@dataclass(frozen=True)
class RandomizedSmoothing:
    """Average the forget gradient over noise on the weights."""

    sigma: float = 1e-4  # standard deviation of the noise on every weight, >= 0; 0 is the plain gradient
    draws: int = 1  # noises per step, >= 1

    source: ClassVar[str] = "arXiv:2502.05374"
    evidence: ClassVar[str] = "paper"
    needs: ClassVar[frozenset[str]] = frozenset({"forget"})
    never: ClassVar[str] = "sigma is 0"
    gradients: ClassVar[str] = "afresh"

    def __post_init__(self) -> None:
        if not self.sigma >= 0 or self.draws < 1:
            raise ValueError(f"sigma must be >= 0 and draws >= 1, got {self.sigma} and {self.draws}")

    @property
    def cost(self) -> float:
        """The plain step, and one more forget gradient per draw."""
        return 1 + self.draws / 2

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the mean forget gradient under noise and the retain gradient as it came."""
        if not self.sigma:
            return forget, retain
        dice = update.context.generator("randomized smoothing")  # on the CPU: the same noise on every device
        mean = [torch.zeros_like(g) for g in forget]
        for _ in range(self.draws):
            noise = [self.sigma * torch.randn(g.shape, generator=dice).to(g) for g in forget]
            with elsewhere(update, noise):
                mean = plus(mean, 1 / self.draws, update.gradient("forget"))
        return mean, retain
