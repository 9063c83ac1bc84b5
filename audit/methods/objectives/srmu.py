"""SRMU: misdirect the features that tell forget from retain, leave the others.

Chen, Huang, Choo, Chen 2025, arXiv:2512.16297, after a description by others. RMU's random vector is
replaced by c V * I, with V a random vector of signs, fixed by the seed, and I the importance of each
feature of the layer, log(1 + v_f / v_r) scaled to a maximum of 1: v_f and v_r are the starting model's mean
activations on the forget and the retain set. Means of |h|, because the logarithm is undefined for signed
means with v_f / v_r < -1. c is given in units of the mean v_f, ours; retain weight 1200 as published. All
features of one sign collapse the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.methods.objectives.rmu import block_at, check_depth, check_length, drift, mean_square
from audit.models.training import Batch, Context, Example

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

_ROWS = 64  # sequences looked at together


@METHODS.register("srmu")
@dataclass(frozen=True)
class SelectiveMisdirection:
    """Send the forget activations of one layer to random signs, feature by feature as important."""

    c: float = 5.0  # target per important feature in units of the mean |h| on the forget set, > 0
    layer: float = 0.22  # depth of the steered block as a share of all blocks, in [0, 1)

    family: ClassVar[str] = "representation"
    source: ClassVar[str] = "arXiv:2512.16297"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 0.2
    needs: ClassVar[frozenset[str]] = frozenset(
        {"retain", "reference_hidden", "reference_retain_hidden", "feature_means"}
    )
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1200.0}

    def __post_init__(self) -> None:
        check_depth(self.layer)
        check_length("c", self.c)

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over sequences, tokens and H of (h - c V * I)^2, shape ()."""
        block = block_at(context, self.layer)
        hidden, mask = context.hidden(batch, block)  # (B, T, H), (B, T)
        target = context.remember("srmu target", lambda: self.c * direction(context, block))
        return mean_square(hidden - target, mask)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over sequences, tokens and H of (h - h0)^2, shape ()."""
        return drift(context, batch, block_at(context, self.layer))


def direction(context: Context, block: int) -> Tensor:
    """Return V * I in units of the mean forget activation, shape (H,)."""
    forget, retain = (
        mean_activation(context, side, block) for side in (context.forget_examples, context.retain_examples)
    )
    signs = torch.randint(0, 2, forget.shape, generator=context.generator("srmu signs")).to(forget) * 2 - 1
    return forget.mean() * signs * importance(forget, retain)


def importance(forget: Tensor, retain: Tensor) -> Tensor:
    """Return log(1 + v_f / v_r) over its maximum, shape (H,), in [0, 1]; mean activations >= 0 given."""
    raw = (forget / (retain + 1e-6)).log1p()
    return raw / (raw.max() + 1e-8)


def mean_activation(context: Context, examples: Sequence[Example], block: int) -> Tensor:
    """Return the starting model's mean |h| over all tokens of ``examples``, shape (H,)."""
    total, tokens = torch.zeros(()), 0
    for start in range(0, len(examples), _ROWS):
        batch = context.batch(examples[start : start + _ROWS])
        states = context.reference_hidden(batch, block).float()[batch.mask]  # (tokens, H)
        total = total.to(states) + states.abs().sum(0)
        tokens += int(batch.mask.sum())
    return total / tokens
