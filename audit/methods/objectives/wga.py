"""WGA, weighted gradient ascent: each token is pushed in proportion to how likely it still is.

Wang et al. ICLR 2025 ("Rethinking LLM unlearning objectives", the G-effect), arXiv:2502.19301; beta 1 and
both weights 1 as published. Gradient ascent gives its largest gradient to tokens that are already gone,
d(-log p) = -dp / p. The weight p^beta, held constant in the gradient, cancels that: at beta 1 the gradient is
that of the probability itself, and what is forgotten is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

functional = lazy("torch.nn.functional")


@METHODS.register("wga")
@dataclass(frozen=True)
class WeightedAscent:
    """Ascend on each answer token with the weight p^beta."""

    beta: float = 1.0  # power of the token's probability, >= 0; 0 is gradient ascent

    family: ClassVar[str] = "divergence"
    source: ClassVar[str] = "arXiv:2502.19301"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise ValueError(f"beta must not be negative, got {self.beta}")

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return -mean_t p_t^beta (-log p_t), the weight without gradient; shape (), nats."""
        logits, targets, _ = context.answer_logits(batch)
        nll = functional.cross_entropy(logits, targets, reduction="none")  # (N,)
        return -((-self.beta * nll).exp().detach() * nll).mean()

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p, shape (), nats."""
        return context.mean_nll(batch)
