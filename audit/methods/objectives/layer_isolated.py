"""The layer-isolated joint objective: a retain weight that rises with the retain loss.

Agrawal, Huang (team SHA256), SemEval-2025 Task 4, arXiv:2504.12996: -L_forget + a(d) L_retain with a(d) =
clip(0.3 * 6^d + 0.8, 1.2, ceiling), d the retain loss of the batch minus its average over the first epoch,
during which a = 1.2. That is one of their eight epochs; here it ends after an eighth of the steps at the latest,
which is ours: a run may be shorter than an epoch of retain sequences, and a would stay at 1.2. Only the MLPs of
the layers found by causal mediation are trained, the first six of theirs, ``@layers(0:6).mlp``; for a model of
another depth ``layer_isolated @located(0.2)`` looks for them, among MLPs and attentions. The ceiling is 2.3 in
the authors' code (a round to one decimal besides) and 2.8 in a summary of the paper. Their average divides batch
means by sequences, so that d is too large and a mostly at its ceiling; here it is the average over tokens. They
keep the checkpoint of lowest loss, the most forgetful one; here the budget ends the run. Often credited to
Srivasthav P and Garlapati, who wrote another paper on the same task (arXiv:2503.04795).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.methods.base import METHODS
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

_FLOOR = 1.2
_EPOCHS = 8  # the authors'; the first sets the average


@METHODS.register("layer_isolated")
@dataclass(frozen=True)
class AdaptiveJoint:
    """Ascend on the forget answers, hold the retain answers the harder the more they suffer."""

    ceiling: float = 2.3  # largest weight of the retain loss, >= 1.2

    family: ClassVar[str] = "divergence"
    source: ClassVar[str] = "arXiv:2504.12996"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 0.75
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def __post_init__(self) -> None:
        if not self.ceiling >= _FLOOR:
            raise ValueError(f"ceiling must be at least {_FLOOR}, got {self.ceiling}")

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return -(mean over answer tokens of -log p), shape (), nats, unbounded below."""
        return -context.mean_nll(batch)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return a(d) times the mean over answer tokens of -log p, shape (), nats; no gradient through a."""
        first = context.remember("first epoch", _Average)
        loss = context.mean_nll(batch)
        epoch = context.step * len(batch) < len(context.retain_examples)
        if epoch and context.step * _EPOCHS < max(1, context.steps):
            first.see(float(loss.detach()), len(batch.targets))
            return _FLOOR * loss
        return self.multiplier(float(loss.detach()) - first.mean) * loss

    def multiplier(self, rise: float) -> float:
        """Return a(d) for a rise d of the retain loss, nats, in [1.2, ceiling]."""
        return min(max(0.3 * 6 ** min(rise, 10.0) + 0.8, _FLOOR), self.ceiling)


@dataclass
class _Average:
    """Mean loss per token of what was seen."""

    total: float = 0.0
    tokens: int = 0

    def see(self, mean: float, tokens: int) -> None:
        self.total += mean * tokens
        self.tokens += tokens

    @property
    def mean(self) -> float:
        return self.total / self.tokens
