"""SatImp: token weights that leave out what is forgotten (saturation) and what is trivial (importance).

Yang et al. ICML 2025, arXiv:2505.11953; powers 5 and 1, forget weight 1, retain weight 0.1 as the authors
state them. open-unlearning's class and documentation agree with them, its configuration has 0.1 and 1.
p^saturation lets go of tokens that are no longer likely, (1 - p)^importance of tokens that could not
be otherwise: an answer known by heart, p near 1, starts slowly.
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


@METHODS.register("satimp")
@dataclass(frozen=True)
class SaturationImportance:
    """Ascend on each answer token with the weight p^saturation (1 - p)^importance."""

    saturation: float = 5.0  # power of p, >= 0 (the paper's beta_1)
    importance: float = 1.0  # power of 1 - p, >= 0 (the paper's beta_2); both 0 is gradient ascent

    family: ClassVar[str] = "divergence"
    source: ClassVar[str] = "arXiv:2505.11953"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 0.1}

    def __post_init__(self) -> None:
        if not (self.saturation >= 0 and self.importance >= 0):
            raise ValueError(f"powers must not be negative, got {self.saturation} and {self.importance}")

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return -mean_t w_t (-log p_t), the weight without gradient; shape (), nats."""
        logits, targets, _ = context.answer_logits(batch)
        nll = functional.cross_entropy(logits, targets, reduction="none")  # (N,)
        p = (-nll).exp().detach()
        return -(p**self.saturation * (1 - p) ** self.importance * nll).mean()

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p, shape (), nats."""
        return context.mean_nll(batch)
