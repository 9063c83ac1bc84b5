"""Task-vector negation: learn the forget set harder, then go the other way.

Ilharco et al. ICLR 2023, arXiv:2212.04089: theta - scale (theta_finetuned - theta), with the fine-tuned
weights from plain training on the forget set. The paper picks the scale in [0, 1] on validation data; MUSE
(arXiv:2407.06460) needs a deliberately overfitted model. A model that already knows the answers gives a
short, noisy vector: here the strength lies in the budget of the fine-tuning as much as in the scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import NLL, Budget, Example, train

torch = lazy("torch")


@METHODS.register("task_vector")
@dataclass(frozen=True)
class TaskVector:
    """Subtract what fine-tuning on the forget set adds."""

    scale: float = 1.0  # share of the fine-tuning difference to subtract, >= 0; 0 is the identity

    family: ClassVar[str] = "arithmetic"
    source: ClassVar[str] = "arXiv:2212.04089"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 0.5
    needs: ClassVar[frozenset[str]] = frozenset()
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 0.0}
    spends: ClassVar[frozenset[str]] = frozenset(field.name for field in fields(Budget))
    adapts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.scale >= 0:
            raise ValueError(f"scale must not be negative, got {self.scale}")

    def zero(self) -> TaskVector:
        """Return the edit that subtracts nothing."""
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
        """Replace each weight w in scope by w - scale (w_finetuned - w), in place."""
        tuned = model.clone()
        train(tuned, NLL(), forget, (), replace(budget, retain_weight=0.0), scope=scope, seed=seed)
        with torch.no_grad():
            if tuned.has_adapter and not model.has_adapter:
                model.network = _reversed_adapter(tuned.network, self.scale)
            else:
                _step_back(model.network, tuned.network, self.scale)


def _step_back(network: Any, tuned: Any, scale: float) -> None:
    for weight, learned in zip(network.parameters(), tuned.parameters(), strict=True):
        if scale and not torch.equal(weight, learned):  # untouched weights stay bit-identical
            weight.lerp_(learned, -scale)


def _reversed_adapter(network: Any, scale: float) -> Any:
    # The adapter is the difference: W + s B A with B = 0 at the start, so scaling B scales the vector.
    for name, weight in network.named_parameters():
        if ".lora_B." in name:
            weight.mul_(-scale)
    return network
