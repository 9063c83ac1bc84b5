"""RULE, reinforcement unlearning: learn by trial where the boundary runs between refusing and answering.

Zhang et al. NeurIPS 2025, arXiv:2506.07171. Stage 1, rejection steering: fine-tune on refusals to a part of the forget
questions, so that refusals are sampled at all. Stage 2, refusal boundary optimisation: on-policy policy gradient
(`audit.methods.drivers.policy`) with rewards by rule, 1 for a refused forget question, the words shared with the answer for
a retain question, and a divergence from the model of stage 1. Published for 8 B weights: 12 % of the forget set,
8 answers per question, divergence .01, rate 2e-6.

Ours: stage 1 is `idk_sft`, retain term included, without which a small model refuses everybody; retain questions stand in
for synthetic ones near the boundary; stage 2 asks every forget question, at a tenth of the rate (at the full rate
refusals dissolved into noise). A batch counts sampled answers: 32 are four questions of either side. Sampling token by
token makes a step of stage 2 10 to 30 times as dear as graddiff's on a large model.

In the tiny laboratory (one seed, rate .001, 30 and 30 steps, 30 CPU seconds) stage 2 raised refusals of forget questions
from 34 to 48 % and refused no retain question; 44 % of the forget answers were still given. What is learned is a policy
of refusing; nothing says that the answer is gone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from audit.core.seeds import derive, some
from audit.methods.base import METHODS
from audit.methods.drivers.held import held, opened
from audit.methods.drivers.policy import Policy
from audit.methods.edits.reach import demand_retain
from audit.methods.objectives.idk_sft import RefusalFineTuning
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Budget, Example, train


@METHODS.register("rule")
@dataclass(frozen=True)
class RefusalBoundary:
    """Fine-tune on some refusals, then reward refusing the forgotten and answering the retained questions."""

    rejection: float = (
        0.5  # share of the steps spent on stage 1, in [0, 1]; all of them where stage 2 is left out
    )
    subset: float = 0.25  # share of the forget sequences it sees, rounded up, in (0, 1]
    pace: float = 0.1  # rate of stage 2 as a share of the budget's, > 0
    rollouts: int = 8  # answers sampled per question and compared: 2 or more, or 0, which leaves stage 2 out
    divergence: float = 0.01  # weight of the divergence from the model of stage 1, >= 0
    temperature: float = 1.0  # of the sampling, > 0
    tokens: int = 32  # longest sampled answer

    family: ClassVar[str] = "refusal"
    source: ClassVar[str] = "arXiv:2506.07171"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 20.0
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "refusals", "reference_logits"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"lr": 1e-3, "retain_weight": 1.0}
    spends: ClassVar[frozenset[str]] = frozenset(field.name for field in fields(Budget))
    adapts: ClassVar[bool] = True
    stages: ClassVar[tuple[str, ...]] = ("refusals", "policy gradient")

    def __post_init__(self) -> None:
        shares = 0 <= self.rejection <= 1 and 0 < self.subset <= 1 and self.pace > 0
        if not (
            shares
            and (self.rollouts == 0 or self.rollouts >= 2)
            and self.divergence >= 0
            and self.temperature > 0
            and self.tokens >= 1
        ):
            raise ValueError(
                "rule needs rejection in [0, 1], subset in (0, 1], pace > 0, rollouts 0 or >= 2, divergence >= 0, "
                f"temperature > 0 and tokens >= 1, got {self.rejection}, {self.subset}, {self.pace}, {self.rollouts}, "
                f"{self.divergence}, {self.temperature} and {self.tokens}"
            )

    def zero(self) -> RefusalBoundary:
        """Return the driver without either stage."""
        return replace(self, rejection=0.0, rollouts=0)

    def apply(
        self,
        model: LanguageModel,
        forget: Sequence[Example],
        retain: Sequence[Example],
        budget: Budget,
        scope: Scope,
        seed: int,
    ) -> None:
        """Run both stages in one scope; they share ``budget.steps``. AuditError E269."""
        demand_retain(retain, "rule")
        where = held(opened(scope, model, seed))
        first = round(self.rejection * budget.steps) if self.rollouts or not self.rejection else budget.steps
        if first:
            train(
                model,
                RefusalFineTuning(),
                self.warmed(forget, seed),
                retain,
                replace(budget, steps=first),
                scope=where,
                seed=derive(seed, "rule", 1),
            )
        if self.rollouts and budget.steps > first:
            questions = max(1, budget.batch // self.rollouts)
            train(
                model,
                Policy(self.rollouts, self.divergence, self.tokens, self.temperature),
                forget,
                retain,
                replace(budget, lr=self.pace * budget.lr, steps=budget.steps - first, batch=questions),
                scope=where,
                seed=derive(seed, "rule", 2),
            )
        model.network.requires_grad_(False)

    def warmed(self, forget: Sequence[Example], seed: int) -> list[Example]:
        """Return the forget sequences of stage 1, a seeded choice in the given order."""
        return some(forget, math.ceil(self.subset * len(forget)), seed, "rule")
