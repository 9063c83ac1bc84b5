"""GradDiff, gradient difference, with either retain term of TOFU.

Liu, Liu, Stone 2022, arXiv:2203.12817; Maini et al. 2024 (TOFU), arXiv:2401.06121, there "gradient
difference" (nll) and "KL minimisation" (kl). Objective -L_forget + L_retain with equal weights. Like
gradient ascent it is unbounded: the forget term grows until clipping silently removes the retain term. With
``retain=kl`` it is `kl_min`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from audit.methods.base import METHODS
from audit.methods.objectives.kl_min import divergence
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register("graddiff")
@dataclass(frozen=True)
class GradientDifference:
    """Ascend on the forget answers, hold the retain answers."""

    retain: Literal["nll", "kl"] = (
        "nll"  # retain term: likelihood of the answers, or closeness to the starting model
    )

    family: ClassVar[str] = "divergence"
    source: ClassVar[str] = "arXiv:2203.12817, arXiv:2401.06121"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def __post_init__(self) -> None:
        if self.retain not in ("nll", "kl"):
            raise ValueError(f"retain must be nll or kl, got {self.retain!r}")

    @property
    def needs(self) -> frozenset[str]:
        """Names of the services used besides the forget set."""
        return frozenset({"retain"} if self.retain == "nll" else {"retain", "reference_retain_logits"})

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return -(mean over answer tokens of -log p), shape (), nats, unbounded below."""
        return -context.mean_nll(batch)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p, or of KL(p0 || p); shape (), nats, >= 0."""
        return context.mean_nll(batch) if self.retain == "nll" else divergence(context, batch)
