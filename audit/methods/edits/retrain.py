"""Retrain: the original's training done again from its start, without the forgotten persons.

Exact by definition (Cao and Yang 2015; Bourtoule et al. 2021, arXiv:1912.03817, definition III.1): the weights are a
draw of the distribution that unlearning is to reach. It is audited like any candidate, must come out clean, and a few
seeds of it show how far two exact models differ. The training has to be known: the laboratory's is, that of one's own
model is what the plan states under ``training``. ``without=nobody`` trains on everybody again and gives the original
bit by bit, where what is known about its training is true.
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


@METHODS.register("retrain")
@dataclass(frozen=True)
class Retrain:
    """Train again from the original's start, on the retain set alone."""

    without: Literal["forgotten", "nobody"] = "forgotten"
    seed: int = 0  # 0: the original's own initial weights and draws

    family: ClassVar[str] = "exact"
    source: ClassVar[str] = "arXiv:1912.03817"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"training", "retain"})
    budget_defaults: ClassVar[Mapping[str, float]] = {}
    spends: ClassVar[frozenset[str]] = frozenset()
    adapts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.without not in ("forgotten", "nobody"):
            raise ValueError(f"without must be forgotten or nobody, got {self.without!r}")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")

    def zero(self) -> Retrain:
        """Return the training without anything left out: the original."""
        return replace(self, without="nobody", seed=0)

    def apply(
        self,
        model: LanguageModel,
        forget: Sequence[Example],
        retain: Sequence[Example],
        budget: Budget,
        scope: Scope,
        seed: int,
    ) -> None:
        """Put the retrained weights in the model's place; AuditError E231 where its training is not known."""
        training = training_of(model, self.name)  # type: ignore[attr-defined]
        model.network = training.again(with_forgotten=self.without == "nobody", seed=self.seed).network
