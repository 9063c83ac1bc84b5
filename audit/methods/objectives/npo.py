"""NPO, negative preference optimisation.

Zhang, Lin, Bai, Mei. COLM 2024, arXiv:2404.05868, eq. (3); beta 0.1 and retain weight 1 as published.
Gradient ascent keeps pushing after the answer is gone. NPO weighs each sequence by how likely it still is
relative to the frozen starting model, so forgotten sequences stop contributing. With l and l0 the summed
negative log-likelihoods now and at the start, the weight dL/dl = -2 sigmoid(-beta (l - l0)) tends to -1,
gradient ascent, as beta -> 0.
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


@METHODS.register("npo")
@dataclass(frozen=True)
class NegativePreference:
    """Penalise answers that are still likely compared with the starting model."""

    beta: float = 0.1  # inverse temperature, > 0; beta -> 0 recovers gradient ascent

    family: ClassVar[str] = "preference"
    source: ClassVar[str] = "arXiv:2404.05868"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_nll"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta must be positive, got {self.beta}")

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return mean_b -(2/beta) log sigmoid(-beta log(p_b / p0_b)), shape (), nats, >= 0."""
        log_ratio = context.reference_nll(batch) - context.nll(batch)  # (B,), nats
        return -(2 / self.beta) * functional.logsigmoid(-self.beta * log_ratio).mean()

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p, shape (), nats."""
        return context.mean_nll(batch)
