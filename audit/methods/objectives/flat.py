"""FLAT: forget-only loss adjustment, a divergence between answering with a refusal and with the truth.

Wang et al. ICLR 2025, arXiv:2410.11143. With P_e and P_f the mean token probabilities of a refusal and of the
answer to be forgotten, the variational form of an f-divergence gives L = -g*(P_e) + f*(g*(P_f)), summed up
in the table below; total variation is the paper's default. Needs neither retain set nor frozen model.
Published learning rates are near 2e-7 (7B models). The term uses probabilities, so its gradient vanishes with
them: it stops by itself. The official code averages over all positions of sequences padded to one length,
with zero outside the answer, which divides P by their share; here P is a mean over the answer's tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.models.batches import sum_by_row
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
functional = lazy("torch.nn.functional")

_ADJUSTED = {  # -g*(P_e), f*(g*(P_f))
    "tv": (lambda e: -e.tanh() / 2, lambda f: f.tanh() / 2),
    "kl": (lambda e: -e, lambda f: (f - 1).exp()),
    "js": (
        lambda e: (1 + (-e).exp()).log() - math.log(2),
        lambda f: f + (1 + (-f).exp()).log() - math.log(2),
    ),
    "pearson": (lambda e: -e, lambda f: f * f / 4 + f),
}


@METHODS.register("flat")
@dataclass(frozen=True)
class LossAdjustment:
    """Make a refusal likelier and the answer unlikelier, as far apart as a divergence says."""

    divergence: Literal["tv", "kl", "js", "pearson"] = "tv"

    family: ClassVar[str] = "refusal"
    source: ClassVar[str] = "arXiv:2410.11143"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"refusals"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 0.0}

    def __post_init__(self) -> None:
        if self.divergence not in _ADJUSTED:
            raise ValueError(f"divergence must be one of {', '.join(_ADJUSTED)}, got {self.divergence!r}")

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return mean_b -g*(P_e) + f*(g*(P_f)), shape ()."""
        refused, answered = _ADJUSTED[self.divergence]
        likely, true = (mean_probability(context, one) for one in (context.refusals(batch), batch))
        return (refused(likely) + answered(true)).mean()

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Refuse: the method is forget-only."""
        raise ValueError("flat has no retain term")


def mean_probability(context: Context, batch: Batch) -> Tensor:
    """Return the mean probability of each answer's tokens, shape (B,)."""
    logits, targets, rows = context.answer_logits(batch)
    p = (-functional.cross_entropy(logits, targets, reduction="none")).exp()  # (N,)
    return sum_by_row(p, batch) / torch.bincount(rows, minlength=len(batch))
