"""SISA: only what has seen a forgotten person is trained again, without them.

Sharded, isolated, sliced and aggregated training (Bourtoule et al. 2021, arXiv:1912.03817). Of an original trained in
shards (``audit.models.joined``) the constituents that held no forgotten person stay bit-identical and the others are
trained again from their own start; of one trained in slices (``audit.models.sliced``), the adapters from the first
slice with a forgotten person on. Exact by construction: the weights are those of the same training on everybody but
the forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from audit.methods.base import METHODS
from audit.methods.edits.known_training import training_of
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Budget, Example


@METHODS.register("sisa")
@dataclass(frozen=True)
class Sisa:
    """Train the shards or slices that held forgotten persons again, without these, and keep the others."""

    without: Literal["forgotten", "nobody"] = "forgotten"

    family: ClassVar[str] = "exact"
    source: ClassVar[str] = "arXiv:1912.03817"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"training", "retain", "slices"})
    budget_defaults: ClassVar[Mapping[str, float]] = {}
    spends: ClassVar[frozenset[str]] = frozenset()
    adapts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.without not in ("forgotten", "nobody"):
            raise ValueError(f"without must be forgotten or nobody, got {self.without!r}")

    def zero(self) -> Sisa:
        """Return the training without anything left out: the original."""
        return replace(self, without="nobody")

    def apply(
        self,
        model: LanguageModel,
        forget: Sequence[Example],
        retain: Sequence[Example],
        budget: Budget,
        scope: Scope,
        seed: int,
    ) -> None:
        """Put the weights without the forgotten in place; AuditError E231 or E232 where it was not trained so."""
        training = training_of(model, self.name)  # type: ignore[attr-defined]
        model.network = training.resume(model, with_forgotten=self.without == "nobody").network
