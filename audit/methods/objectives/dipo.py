"""DiPO, distribution preference optimisation: prefer a distribution without the likely word to one with more.

Qin et al. 2025, arXiv:2510.04773, reconstructed from its abstract: the constants are ours. From the starting
model's logits z0 two distributions are made per answer token, p_w = softmax(z0 - shift e_top) without and
p_l = softmax(z0 + shift e_top) with more of its ``top`` likeliest words, and preferred by the token-level
Bradley-Terry model: L = mean_b -log sigmoid(beta sum_t [KL(p_l || p) - KL(p_l || p0) - KL(p_w || p)
+ KL(p_w || p0)]). The bracket is sum_v (p_l - p_w)(ln p0 - ln p): no divergence has to be computed. Where a
model is sure of its answer, shifting more than the top word alike would change nothing between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.models.batches import sum_by_row
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
functional = lazy("torch.nn.functional")


@METHODS.register("dipo")
@dataclass(frozen=True)
class DistributionPreference:
    """Prefer the starting model without its likeliest words to itself with more of them."""

    beta: float = 0.1  # inverse temperature, > 0
    top: int = 1  # likeliest words that are shifted, >= 1 and fewer than there are
    shift: float = 10.0  # nats by which their logits are shifted, > 0

    family: ClassVar[str] = "preference"
    source: ClassVar[str] = "arXiv:2510.04773"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_logits"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def __post_init__(self) -> None:
        if not (self.beta > 0 and self.top >= 1 and self.shift > 0):
            raise ValueError(
                f"dipo needs beta > 0, top >= 1 and shift > 0, got {self.beta}, {self.top} and {self.shift}"
            )

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return mean_b -log sigmoid(beta margin_b), shape (), nats, >= 0; E296 where ``top`` are all words."""
        logits, _, _ = context.answer_logits(batch)
        start = context.reference_logits(batch)  # (N, V), log-probabilities
        if self.top >= start.shape[-1]:
            raise AuditError(
                "E296",
                f"dipo shifts the {self.top} likeliest of {start.shape[-1]} words, which must leave some",
                f"give top below {start.shape[-1]}",
            )
        moved = torch.zeros_like(start).scatter(-1, start.topk(self.top).indices, self.shift)
        pull = (start + moved).softmax(-1) - (start - moved).softmax(-1)  # (N, V), p_l - p_w
        margin = (pull * (start - logits.log_softmax(-1))).sum(-1)  # (N,), nats
        return -functional.logsigmoid(self.beta * sum_by_row(margin, batch)).mean()

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p, shape (), nats."""
        return context.mean_nll(batch)
