"""KL minimisation: ascend on the forget answers, stay close to the starting model on the retain answers.

Maini et al. 2024 (TOFU), arXiv:2401.06121: -L_forget + mean_t KL(p0(.|t) || p(.|t)) with equal
weights, p0 the frozen starting model. The mean is over answer tokens. open-unlearning takes it over all
positions, prompt and padding included (``compat=open_unlearning``), which weakens the hold by the share of
answer tokens. The ascent is unbounded, as in graddiff.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.methods.objectives.open_unlearning import all_logits, check_compat
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
functional = lazy("torch.nn.functional")


@METHODS.register("kl_min")
@dataclass(frozen=True)
class DivergenceMinimisation:
    """Ascend on the forget answers, keep the retain answers' distributions."""

    compat: Literal["paper", "open_unlearning"] = "paper"  # positions the divergence is averaged over

    family: ClassVar[str] = "divergence"
    source: ClassVar[str] = "arXiv:2401.06121"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_retain_logits"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def __post_init__(self) -> None:
        check_compat(self.compat)

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return -(mean over answer tokens of -log p), shape (), nats, unbounded below."""
        return -context.mean_nll(batch)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of KL(p0 || p), shape (), nats, >= 0."""
        return divergence(context, batch) if self.compat == "paper" else divergence_anywhere(context, batch)


def divergence(context: Context, batch: Batch) -> Tensor:
    """Return mean_t KL(p0 || p) over the batch's answer tokens, shape (), nats."""
    logits, _, _ = context.answer_logits(batch)  # (N, V)
    return _mean_kl(context.reference_logits(batch), logits)


def divergence_anywhere(context: Context, batch: Batch) -> Tensor:
    """Return mean KL(p0 || p) over every position, prompt and padding included, shape (), nats."""
    with torch.no_grad():
        start = all_logits(context.start, batch).log_softmax(-1)  # (B, T, V)
    return _mean_kl(start, all_logits(context.model, batch))


def _mean_kl(start: Tensor, logits: Tensor) -> Tensor:
    now = logits.log_softmax(-1)
    return functional.kl_div(now, start, reduction="none", log_target=True).sum(-1).mean()
