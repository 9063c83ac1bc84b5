"""RMU, representation misdirection for unlearning.

Li et al. ICML 2024 (WMDP), arXiv:2403.03218, eq. (1)-(2). Steers the activations of one early layer towards
a fixed random direction on the forget set and holds them on the retain set. Published: c 6.5, retain weight
1200, layer 7 of 32, there only the MLP projections of layers 5 to 7 (`@layers(5:8).mlp`). c is right for
one model only; `rmu_adaptive` scales with the activations. The retain weight is for texts that have little in common: where
forget and retain set ask the same questions about other persons, 1200 holds everything in place (measured:
benchmarks/methods.py lowers it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.models.layers import blocks
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@METHODS.register("rmu")
@dataclass(frozen=True)
class Misdirection:
    """Send the forget activations of one layer to a fixed vector of fixed length."""

    c: float = 6.5  # length of the target, in units of the activations, > 0
    layer: float = 0.22  # depth of the steered block as a share of all blocks, in [0, 1)

    family: ClassVar[str] = "representation"
    source: ClassVar[str] = "arXiv:2403.03218"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 0.2
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_retain_hidden"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1200.0}

    def __post_init__(self) -> None:
        check_depth(self.layer)
        check_length("c", self.c)

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over sequences, tokens and H of (h - c u)^2, shape ()."""
        hidden, mask = context.hidden(batch, block_at(context, self.layer))  # (B, T, H), (B, T)
        return mean_square(hidden - self.c * direction(context, hidden), mask)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over sequences, tokens and H of (h - h0)^2, shape ()."""
        return drift(context, batch, block_at(context, self.layer))


def check_depth(layer: float) -> None:
    """Refuse a depth outside [0, 1)."""
    if not 0 <= layer < 1:
        raise ValueError(f"layer must be a depth in [0, 1), got {layer}")


def check_length(name: str, value: float) -> None:
    """Refuse a target without length or in the opposite direction."""
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")


def block_at(context: Context, depth: float) -> int:
    """Return the index of the block at ``depth``: 0.22 of 32 blocks is block 7."""
    return int(depth * len(blocks(context.model.network)))


def direction(context: Context, hidden: Tensor) -> Tensor:
    """Return the run's unit vector u, shape (H,): uniform [0, 1] entries, normalised, fixed by the seed."""

    def draw() -> Tensor:
        vector = torch.rand(hidden.shape[-1], generator=context.generator("rmu direction"))
        return (vector / vector.norm()).to(hidden)

    return context.remember("rmu direction", draw)


def drift(context: Context, batch: Batch, block: int) -> Tensor:
    """Return the mean over sequences, tokens and H of (h - h0)^2, shape ()."""
    hidden, mask = context.hidden(batch, block)
    return mean_square(hidden - context.reference_hidden(batch, block), mask)


def mean_square(difference: Tensor, mask: Tensor) -> Tensor:
    """Return mean_b mean_t mean_H of difference^2 over real tokens, shape (); (B, T, H) and (B, T) given."""
    return token_mean(difference.float().square().mean(-1), mask)


def token_mean(per_token: Tensor, mask: Tensor) -> Tensor:
    """Return mean_b mean_t over real tokens, shape (); values and mask of shape (B, T) given."""
    return ((per_token * mask).sum(-1) / mask.sum(-1)).mean()
