"""LLMU: ascend on the answers, learn random ones instead, stay close elsewhere.

Yao, Xu, Liu. NeurIPS 2024, arXiv:2310.10683: 0.5 times gradient ascent on the forget answers, plus
the likelihood of random mismatched answers to the same questions, plus the divergence from the starting model
on normal data. Both forget parts are means over tokens within a sequence, then over sequences. Published:
weights 0.5, 1, 1, five mismatched answers per batch, learning rate 2e-6 with a linear decay. Mismatched
answers are the retain set's, drawn anew for every sequence and step; the divergence is taken over answer
tokens, not over prompts as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.methods.objectives.kl_min import divergence
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@METHODS.register("llmu")
@dataclass(frozen=True)
class AscentAndMismatch:
    """Ascend on the answers and teach random ones, keep the distributions elsewhere."""

    ascent: float = 0.5  # weight of gradient ascent, >= 0
    mismatch: float = 1.0  # weight of the mismatched answers, >= 0
    answers: int = 5  # mismatched answers per sequence and step, >= 1

    family: ClassVar[str] = "divergence"
    source: ClassVar[str] = "arXiv:2310.10683"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 3.5
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_retain_logits"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def __post_init__(self) -> None:
        if min(self.ascent, self.mismatch) < 0 or not self.ascent + self.mismatch or self.answers < 1:
            raise ValueError(
                f"llmu needs weights >= 0, one of them positive, and answers >= 1, got {self.ascent}, "
                f"{self.mismatch} and {self.answers}"
            )

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return -ascent mean_b nll_b / tokens_b + mismatch times that of random answers, shape (), nats."""
        parts = [-self.ascent * nll_per_token(context, batch)] if self.ascent else []
        if self.mismatch:
            parts.append(self.mismatch * nll_per_token(context, context.mismatched(batch, self.answers)))
        return torch.stack(parts).sum()

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of KL(p0 || p), shape (), nats, >= 0."""
        return divergence(context, batch)


def nll_per_token(context: Context, batch: Batch) -> Tensor:
    """Return mean_b nll_b / tokens_b, shape (), nats."""
    return (context.nll(batch) / torch.bincount(batch.rows, minlength=len(batch))).mean()
