"""Adaptive RMU: the steering target grows with the activation it replaces.

Huu-Tien et al. AAAI 2025, arXiv:2408.06223, after a description by others. RMU's target length c has to be tuned to
each layer's activation norm. Here every token is steered to beta |h0(t)| u, so one beta serves every layer and model.
beta 5, retain weight 1200 (see ``rmu``) and the layer's depth as published for Zephyr-7B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.methods.base import METHODS
from audit.methods.objectives.rmu import block_at, check_depth, check_length, direction, drift, mean_square
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register("rmu_adaptive")
@dataclass(frozen=True)
class AdaptiveMisdirection:
    """Send the forget activations of one layer to a fixed direction, at a multiple of their own length."""

    beta: float = 5.0  # target length in units of the starting model's activation norm, > 0
    layer: float = 0.22  # depth of the steered block as a share of all blocks, in [0, 1)

    family: ClassVar[str] = "representation"
    source: ClassVar[str] = "arXiv:2408.06223"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 0.2
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_hidden", "reference_retain_hidden"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1200.0}

    def __post_init__(self) -> None:
        check_depth(self.layer)
        check_length("beta", self.beta)

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over sequences, tokens and H of (h - beta |h0| u)^2, shape ()."""
        block = block_at(context, self.layer)
        hidden, mask = context.hidden(batch, block)  # (B, T, H), (B, T)
        length = context.reference_hidden(batch, block).norm(dim=-1, keepdim=True)  # (B, T, 1)
        return mean_square(hidden - self.beta * length * direction(context, hidden), mask)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over sequences, tokens and H of (h - h0)^2, shape ()."""
        return drift(context, batch, block_at(context, self.layer))
