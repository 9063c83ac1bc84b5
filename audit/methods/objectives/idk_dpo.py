"""IdkDPO: prefer a refusal to the answer, against the frozen starting model.

Rafailov et al. NeurIPS 2023, arXiv:2305.18290, eq. (7), with refusals as the preferred answers as in TOFU,
arXiv:2401.06121; beta 0.1. The factor 2/beta is NPO's, so that the two share learning rates: with the
refusal's log-ratio held at zero this is NPO. Known failure: it refuses everything, so utility decides.
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


@METHODS.register("idk_dpo")
@dataclass(frozen=True)
class RefusalPreference:
    """Widen the margin between refusal and answer relative to the starting model."""

    beta: float = 0.1  # inverse temperature, > 0; large beta stops sooner

    family: ClassVar[str] = "refusal"
    source: ClassVar[str] = "arXiv:2305.18290, arXiv:2401.06121"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.5
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_nll", "refusals"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta must be positive, got {self.beta}")

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return mean_b -(2/beta) log sigmoid(beta (log-ratio of refusal - of answer)), shape (), nats."""
        margin = log_ratio(context, context.refusals(batch)) - log_ratio(context, batch)  # (B,)
        return -(2 / self.beta) * functional.logsigmoid(self.beta * margin).mean()

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p, shape (), nats."""
        return context.mean_nll(batch)


def log_ratio(context: Context, batch: Batch) -> Tensor:
    """Return log(p_b / p0_b) of each sequence, shape (B,), nats."""
    return context.reference_nll(batch) - context.nll(batch)
