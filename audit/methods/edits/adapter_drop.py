"""Adapter drop: what was learned in an adapter of its own is unlearned by taking the adapter away.

Exact by construction: the base never saw those sequences, and afterwards the weights are the base's, bit by bit.
The degenerate case of sharded training, one shard per request (SISA, Bourtoule et al. 2021, arXiv:1912.03817),
and a control that every audit has to pass. A share below 1 turns the adapter down instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Budget, Example

torch = lazy("torch")


@METHODS.register("adapter_drop")
@dataclass(frozen=True)
class AdapterDrop:
    """Take the adapter of the model away."""

    share: float = 1.0  # of the adapter to take away, in [0, 1]; 0 is the identity, 1 leaves the base

    family: ClassVar[str] = "exact"
    source: ClassVar[str] = "arXiv:1912.03817"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 0.01
    needs: ClassVar[frozenset[str]] = frozenset({"adapter"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"steps": 0}
    spends: ClassVar[frozenset[str]] = frozenset()
    adapts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must be in [0, 1], got {self.share}")

    def zero(self) -> AdapterDrop:
        """Return the edit that leaves the adapter."""
        return replace(self, share=0.0)

    def apply(
        self,
        model: LanguageModel,
        forget: Sequence[Example],
        retain: Sequence[Example],
        budget: Budget,
        scope: Scope,
        seed: int,
    ) -> None:
        """Unload the adapter, or scale its B by 1 - share; AuditError E267 where there is none."""
        if not model.has_adapter:
            raise AuditError(
                "E267",
                "adapter_drop takes an adapter away, this model carries none",
                "name an adapter's directory as `model`, or use laboratory: {training: adapter}",
            )
        if self.share == 1:
            model.network = model.network.unload().eval()
            return
        with torch.no_grad():
            for name, weight in model.network.named_parameters():
                if ".lora_B." in name:
                    weight.mul_(1 - self.share)
