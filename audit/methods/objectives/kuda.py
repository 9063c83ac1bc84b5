"""KUDA's deviation loss: turn the forget representations away from where they were.

Fang et al. 2026, arXiv:2602.19275, reconstructed from its abstract: minimise sigmoid(tau cos(h, h0)) on the
forget tokens of one layer, h0 the starting model's activations, and hold 1 - cos(h, h0) on the retain tokens.
tau is the inverse temperature. At the start h = h0 and the cosine, at its maximum, has no slope to follow, so
h0 is tilted by a small share of its length towards a fixed random direction; that is ours. The paper chooses
layers by causal tracing, looks at a random share of the tokens and projects the update into the null space
of the retain inputs; here all tokens count, and the projection is a step of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.methods.objectives.rmu import block_at, check_depth, direction, token_mean
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

functional = lazy("torch.nn.functional")


@METHODS.register("kuda")
@dataclass(frozen=True)
class Deviation:
    """Turn the forget activations of one layer away from the starting model's."""

    inverse_temperature: float = 1.0  # tau, > 0; large tau lets go only when the activation points elsewhere
    tilt: float = 0.1  # share of |h0| by which h0 is moved, > 0
    layer: float = 0.22  # depth of the block as a share of all blocks, in [0, 1)

    family: ClassVar[str] = "representation"
    source: ClassVar[str] = "arXiv:2602.19275"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 0.2
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_hidden", "reference_retain_hidden"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def __post_init__(self) -> None:
        check_depth(self.layer)
        if not (self.inverse_temperature > 0 and self.tilt > 0):
            raise ValueError(
                f"inverse_temperature and tilt must be positive, got {self.inverse_temperature}, {self.tilt}"
            )

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over sequences and tokens of sigmoid(tau cos(h, h0)), shape (), in (0, 1)."""
        block = block_at(context, self.layer)
        hidden, mask = context.hidden(batch, block)  # (B, T, H), (B, T)
        start = context.reference_hidden(batch, block)
        tilted = start + self.tilt * start.norm(dim=-1, keepdim=True) * direction(context, hidden)
        cosine = functional.cosine_similarity(hidden.float(), tilted.float(), dim=-1)  # (B, T)
        return token_mean((self.inverse_temperature * cosine).sigmoid(), mask)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over sequences and tokens of 1 - cos(h, h0), shape (), in [0, 2]."""
        block = block_at(context, self.layer)
        hidden, mask = context.hidden(batch, block)
        start = context.reference_hidden(batch, block)
        return token_mean(1 - functional.cosine_similarity(hidden.float(), start.float(), dim=-1), mask)
