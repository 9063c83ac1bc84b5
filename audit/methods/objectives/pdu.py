"""PDU, primal-dual unlearning: flatten the forget logits under a ceiling on the retain loss.

Entesari et al. 2025, arXiv:2506.05314: minimise mean_t (max_v z_tv - mean_v z_tv)^2 over the forget answers
subject to L_retain <= epsilon. The Lagrangian's multiplier takes one step per update, lambda <- max(0,
lambda + rate (L_retain - epsilon)). Published: lambda starts at 50 to 100, because the squared margin is
large; rate 1 (MUSE) or 5 (TOFU); epsilon set by hand a little above the loss at the start, and 3 to 5 epochs of warm-up,
which are left to ``warmup``. Here epsilon follows from the risk plan's utility budget u, which a plan writes into every
recipe that does not name another: the retain answers' likelihood per token may fall by the share u, so
epsilon = L_start - ln(1 - u). Uniform logits are gibberish by design: utility decides.

open-unlearning's mask is not shifted against the logits: it leaves out the position that predicts the first
answer token and counts the one after the last (``compat=open_unlearning``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from audit.methods.base import METHODS
from audit.methods.objectives.open_unlearning import check_compat
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register("pdu")
@dataclass(frozen=True)
class PrimalDual:
    """Flatten the forget logits while the retain answers keep their likelihood."""

    utility_budget: float = 0.1  # share of the retain answers' likelihood per token to be lost, in [0, 1)
    multiplier: float = 50.0  # lambda at the first step, >= 0
    rate: float = 1.0  # step size of lambda, >= 0; 0 keeps it
    compat: Literal["paper", "open_unlearning"] = "paper"  # positions whose logits are flattened

    family: ClassVar[str] = "constrained"
    source: ClassVar[str] = "arXiv:2506.05314"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_retain_nll"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}
    budgets: ClassVar[Mapping[str, str]] = {"utility_budget": "utility"}

    def __post_init__(self) -> None:
        check_compat(self.compat)
        if not (0 <= self.utility_budget < 1 and self.multiplier >= 0 and self.rate >= 0):
            raise ValueError(
                f"pdu needs utility_budget in [0, 1), multiplier >= 0 and rate >= 0, got "
                f"{self.utility_budget}, {self.multiplier} and {self.rate}"
            )

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of (max logit - mean logit)^2, shape (), >= 0."""
        if self.compat != "paper":
            batch = replace(batch, positions=batch.positions + 1)
        logits, _, _ = context.answer_logits(batch)  # (N, V)
        return (logits.amax(-1) - logits.mean(-1)).square().mean()

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return lambda (L_retain - epsilon), shape (); lambda moves when the step is over."""
        ceiling = context.remember("pdu ceiling", lambda: self.ceiling(context.reference_retain_nll()))
        dual = context.remember("pdu multiplier", lambda: _Multiplier(self.multiplier, self.rate))
        excess = context.mean_nll(batch) - ceiling
        return dual.at(context.step, float(excess.detach()), len(batch.targets)) * excess

    def ceiling(self, start: float) -> float:
        """Return epsilon for the retain loss ``start`` of the starting model, nats per token."""
        return start - math.log1p(-self.utility_budget)


@dataclass
class _Multiplier:
    """Lambda through a run. It moves between steps, by the mean excess of all retain tokens of a step."""

    value: float
    rate: float
    step: int = 0
    excess: float = 0.0
    tokens: int = 0

    def at(self, step: int, excess: float, tokens: int) -> float:
        """Return lambda for ``step`` and take note of a batch's mean excess over so many tokens."""
        if step != self.step:
            self.value = max(0.0, self.value + self.rate * self.excess / max(1, self.tokens))
            self.step, self.excess, self.tokens = step, 0.0, 0
        self.excess += excess * tokens
        self.tokens += tokens
        return self.value
