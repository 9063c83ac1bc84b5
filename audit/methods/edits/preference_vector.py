"""Preference vector: the difference between models tuned towards refusing and towards answering.

Liang et al. 2025, arXiv:2504.20106 (helpfulness and harmlessness): with theta_+ and theta_- tuned from theta by DPO on the
same pairs, preferred once one way and once the other,

    theta <- theta + scale (theta_+ - theta_-).

The paper does not unlearn; its arithmetic is carried over with a refusal as the preferred and the forget answer as
the rejected side. What both tunings share cancels, which task-vector negation cannot offer. DPO as in `idk_dpo`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.methods.objectives.idk_dpo import log_ratio
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Batch, Budget, Context, Example, train

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
functional = lazy("torch.nn.functional")


@METHODS.register("preference_vector")
@dataclass(frozen=True)
class PreferenceVector:
    """Add what tuning towards refusals has over tuning towards the answers."""

    scale: float = 1.0  # length of the vector to add, >= 0; 0 is the identity
    beta: float = 0.1  # inverse temperature of both tunings, > 0

    family: ClassVar[str] = "arithmetic"
    source: ClassVar[str] = "arXiv:2504.20106"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 2.0
    needs: ClassVar[frozenset[str]] = frozenset({"reference_nll", "refusals"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 0.0}
    spends: ClassVar[frozenset[str]] = frozenset(f.name for f in fields(Budget)) - {
        "forget_weight",
        "retain_weight",
    }
    adapts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (self.scale >= 0 and self.beta > 0):
            raise ValueError(
                f"scale must not be negative, beta must be positive, got {self.scale} and {self.beta}"
            )

    def zero(self) -> PreferenceVector:
        """Return the edit that adds nothing."""
        return replace(self, scale=0.0)

    def apply(
        self,
        model: LanguageModel,
        forget: Sequence[Example],
        retain: Sequence[Example],
        budget: Budget,
        scope: Scope,
        seed: int,
    ) -> None:
        """Tune two copies and add scale times their difference, in place; retain sequences are not used."""
        tuned = []
        for sign in (1, -1):
            tuned.append(model.clone())
            train(tuned[-1], Preference(self.beta, sign), forget, (), budget, scope=scope, seed=seed)
        ends = [copy.network.parameters() for copy in tuned]
        with torch.no_grad():
            for weight, towards, away in zip(model.network.parameters(), *ends, strict=True):
                if self.scale and not torch.equal(towards, away):
                    weight.add_(self.scale * (towards - away))


@dataclass(frozen=True)
class Preference:
    """DPO between the answer and its refusal; ``sign`` 1 prefers the refusal, -1 the answer."""

    beta: float
    sign: int

    name: ClassVar[str] = "preference"
    needs: ClassVar[frozenset[str]] = frozenset({"reference_nll", "refusals"})

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return mean_b -(2/beta) log sigmoid(sign beta (log-ratio of refusal - of answer)), shape (), nats."""
        margin = log_ratio(context, context.refusals(batch)) - log_ratio(context, batch)  # (B,)
        return -(2 / self.beta) * functional.logsigmoid(self.sign * self.beta * margin).mean()

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Refuse: both tunings look at the forget set alone."""
        raise ValueError("preference tuning has no retain term")
