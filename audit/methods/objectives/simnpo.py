"""SimNPO: NPO without a reference, on the length-normalised likelihood.

Fan et al. NeurIPS 2025, arXiv:2410.07163, eq. (4). NPO calls a long answer forgotten sooner than a short one
and an answer the starting model hardly knew sooner than a well-known one. SimNPO compares the mean nll per
answer token with a margin instead. Defaults of the best tuned setting known (beta 4.5, forget weight 0.125,
retain weight 1, open-unlearning). The paper calls the margin gamma.
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

torch = lazy("torch")
functional = lazy("torch.nn.functional")


@METHODS.register("simnpo")
@dataclass(frozen=True)
class SimpleNegativePreference:
    """Push each answer's mean nll per token beyond a margin, then let go."""

    beta: float = 4.5  # inverse temperature, > 0; beta -> 0 recovers length-normalised gradient ascent
    margin: float = 0.0  # nats per answer token; 0 pushes answers of every length alike

    family: ClassVar[str] = "preference"
    source: ClassVar[str] = "arXiv:2410.07163"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"forget_weight": 0.125, "retain_weight": 1.0}

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta must be positive, got {self.beta}")

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return mean_b -(2/beta) log sigmoid(beta (nll_b / tokens_b - margin)), shape (), >= 0."""
        tokens = torch.bincount(batch.rows, minlength=len(batch))  # (B,), each answer with its end
        per_token = context.nll(batch) / tokens  # nats
        return -(2 / self.beta) * functional.logsigmoid(self.beta * (per_token - self.margin)).mean()

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p, shape (), nats."""
        return context.mean_nll(batch)
