"""SSD, selective synaptic dampening: shrink the weights that matter to the forget set and hardly elsewhere.

Foster, Schoepf, Brintrup. AAAI 2024, arXiv:2308.07707, eq. (5)-(6). With the diagonal Fisher information of weight j
on the forget set, F_f, and on other training data, F,

    where F_f > selection F:    theta_j <- min(dampening F / F_f, 1) theta_j.

Each F is a mean over sequences of the squared gradient of the answer's negative log-likelihood. The paper takes F
over all training data, of which the forget set is a small part (``against=full``); where it is not, F_f can
hardly exceed ten times a mean it is part of, so that F is the retain set's by default. Published: selection
10, dampening 1 for vision models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.methods.edits.reach import consulted, demand_retain, weights_in
from audit.models.batches import forward_answer_logits
from audit.models.curvature import batches
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Budget, Example

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@METHODS.register("ssd")
@dataclass(frozen=True)
class SelectiveDampening:
    """Shrink weights that matter much more to the forget answers than to others."""

    selection: float = 10.0  # how many times more important to the forget set a weight has to be, >= 0
    dampening: float = 1.0  # size of what is left of a chosen weight, times F / F_f, >= 0
    against: Literal["retain", "full"] = "retain"  # other data: retain sequences, or both sides together

    family: ClassVar[str] = "dampening"
    source: ClassVar[str] = "arXiv:2308.07707"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"steps": 20}
    spends: ClassVar[frozenset[str]] = frozenset({"steps", "batch"})
    adapts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (self.selection >= 0 and self.dampening >= 0) or self.against not in ("retain", "full"):
            raise ValueError(
                f"ssd needs selection and dampening >= 0 and against retain or full, got {self.selection}, "
                f"{self.dampening} and {self.against!r}"
            )

    def zero(self) -> SelectiveDampening:
        """Return the edit that chooses no weight."""
        return replace(self, selection=float("inf"))

    def apply(
        self,
        model: LanguageModel,
        forget: Sequence[Example],
        retain: Sequence[Example],
        budget: Budget,
        scope: Scope,
        seed: int,
    ) -> None:
        """Dampen the weights in scope; each side is looked at through at most steps * batch sequences."""
        demand_retain(retain, "ssd")
        weights = weights_in(scope, model)
        ours, theirs = (consulted(side, budget, seed, "ssd") for side in (forget, retain))
        if ours and theirs:
            on_forget, on_others = (fisher(model, side, weights) for side in (ours, theirs))
            share = len(ours) / (len(ours) + len(theirs)) if self.against == "full" else 0.0
            with torch.no_grad():
                for weight, f, r in zip(weights.values(), on_forget, on_others, strict=True):
                    weight.mul_(self.factor(f, share * f + (1 - share) * r))
        model.network.requires_grad_(False)

    def factor(self, forget: Tensor, others: Tensor) -> Tensor:
        """Return what each weight is multiplied with, in [0, 1], given both Fisher informations."""
        chosen = forget > self.selection * others
        return torch.where(chosen, (self.dampening * others / forget).clamp(max=1), torch.ones_like(forget))


def fisher(model: LanguageModel, examples: Sequence[Example], weights: Mapping[str, Any]) -> list[Tensor]:
    """Return the mean over sequences of the squared gradient of -log p(answer), one tensor per weight."""
    sums = [torch.zeros_like(weight) for weight in weights.values()]
    for batch in batches(model, examples, 1):  # squares of a sum of sequences would be something else
        nll = torch.nn.functional.cross_entropy(
            forward_answer_logits(model.network, batch), batch.targets, reduction="sum"
        )
        found = torch.autograd.grad(nll, list(weights.values()), allow_unused=True)
        for total, gradient in zip(sums, found, strict=True):
            if gradient is not None:
                total += gradient.square() / len(examples)
    return sums
