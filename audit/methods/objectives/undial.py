"""UNDIAL: imitate the starting model with the answer's logit lowered.

Dong et al. NAACL 2025, arXiv:2402.10052: self-distillation with the target
q_t = softmax(z0_t - strength e_{y_t}), z0 the starting model's logits, and the term CE(q_t, p_t) averaged
over answer tokens. Published: strength 3 to 30 (10 here), learning rate 1e-4 with LoRA of rank 8, no retain
term. The target is fixed, so the term is bounded and training settles. open-unlearning averages over all
positions, and where there is no answer it lowers the logit at index -100 from the end of the vocabulary
(``compat=open_unlearning``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.methods.objectives.open_unlearning import IGNORED, all_logits, check_compat, labels
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
functional = lazy("torch.nn.functional")


@METHODS.register("undial")
@dataclass(frozen=True)
class SelfDistillation:
    """Distil the starting model with the answer's logits lowered."""

    strength: float = 10.0  # nats taken off the answer's logit, >= 0; 0 is the starting model
    compat: Literal["paper", "open_unlearning"] = "paper"  # positions the term is averaged over

    family: ClassVar[str] = "distillation"
    source: ClassVar[str] = "arXiv:2402.10052"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 0.5
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_logits"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 0.0}

    def __post_init__(self) -> None:
        check_compat(self.compat)
        if not self.strength >= 0:
            raise ValueError(f"strength must not be negative, got {self.strength}")

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of CE(q, p), shape (), nats, >= 0."""
        if self.compat != "paper":
            return self._anywhere(context, batch)
        logits, targets, _ = context.answer_logits(batch)  # (N, V), (N,)
        return functional.cross_entropy(logits, self._target(context.reference_logits(batch), targets))

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p, shape (), nats; off by default, as published."""
        return context.mean_nll(batch)

    def _target(self, start: Tensor, lowered: Tensor) -> Tensor:
        """Return softmax of the starting logits, (N, V), with those at ``lowered``, (N,), lowered."""
        at = functional.one_hot(lowered, start.shape[-1])
        return (start - self.strength * at).softmax(-1)

    def _anywhere(self, context: Context, batch: Batch) -> Tensor:
        logits = all_logits(context.model, batch)[:, :-1].flatten(0, 1)  # (B (T - 1), V)
        if logits.shape[-1] < -IGNORED:
            raise AuditError(
                "E240",
                f"open-unlearning's undial lowers the {-IGNORED}th last of {logits.shape[-1]} logits",
                "leave compat out for vocabularies this small",
            )
        with torch.no_grad():
            start = all_logits(context.start, batch)[:, :-1].flatten(0, 1)
        lowered = labels(batch)[:, 1:].flatten() % logits.shape[-1]  # -100 counts from the end
        return functional.cross_entropy(logits, self._target(start, lowered))
