"""OFMU, two-loop bilevel unlearning: climb until forgotten, then repair on the way back.

Asif, Amiri. ICLR 2026, arXiv:2509.22483. With L_f the loss to be raised (minus the method's forget term) and L_r
the retain term, the inner loop takes T steps of

    theta <- theta + inner_lr grad Phi,      Phi = L_f - similarity cos(grad L_f, grad L_r),

and the outer step goes against grad L_r + 2 rho_k H grad Phi, H the Hessian of Phi: it repairs retention
while it stays where Phi is stationary; AdamW takes it at the budget's rate. rho_k = penalty (1 + k / 10). Hessian
products are differences of gradients over a length of 0.01, the paper's own being second and third
order; published values of similarity, penalty, T and inner_lr are unclear, these are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.errors import AuditError
from audit.methods.base import STEPS
from audit.models.batches import autocast_dtype
from audit.models.update import Update, dot, elsewhere, move, plus

if TYPE_CHECKING:
    from torch import Tensor

_LENGTH = 0.01  # of the differences, in weight space


@STEPS.register("ofmu")
@dataclass(frozen=True)
class TwoLoops:
    """Forget in an inner loop of ascent, retain in the outer step."""

    inner_steps: int = 3  # T, >= 0; 0 leaves the penalty alone
    inner_lr: float = 0.01  # rate of the inner ascent, plain gradient steps, > 0
    similarity: float = 0.1  # weight of the cosine between both gradients, >= 0
    penalty: float = 0.01  # rho_0, weight of the inner problem's stationarity, >= 0

    source: ClassVar[str] = "arXiv:2509.22483"
    evidence: ClassVar[str] = "experimental"
    needs: ClassVar[frozenset[str]] = frozenset({"forget", "retain"})
    never: ClassVar[str] = "never: without climb and penalty the retain gradient alone is left"
    gradients: ClassVar[str] = "afresh"

    def __post_init__(self) -> None:
        if self.inner_steps < 0 or not self.inner_lr > 0 or min(self.similarity, self.penalty) < 0:
            raise ValueError(
                f"ofmu needs inner_steps >= 0, inner_lr > 0, similarity and penalty >= 0, got "
                f"{self.inner_steps}, {self.inner_lr}, {self.similarity} and {self.penalty}"
            )

    @property
    def cost(self) -> float:
        """Pairs of gradients: two per inner step, four in the outer one."""
        return 2.0 * self.inner_steps + 4

    def prepare(self, update: Update) -> None:
        """Refuse passes in bfloat16: differences of such gradients are noise. AuditError E268."""
        if autocast_dtype(update.context.model) is not None:
            raise AuditError(
                "E268",
                "ofmu takes differences of gradients, this model's are computed in bfloat16",
                "use it for models of at most 5 million weights on a CPU",
            )

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Climb, then return 2 rho_k H grad Phi and grad L_r where the climb ended."""
        for _ in range(self.inner_steps):
            move(update, [self.inner_lr * g for g in self._ascent(update, forget, retain)])
            forget, retain = update.gradient("forget"), update.gradient("retain")
        rho = self.penalty * (1 + update.context.step / 10)
        if not rho:
            return [0 * g for g in forget], retain
        ascent = self._ascent(update, forget, retain)

        def further() -> list[Tensor]:
            return self._ascent(update, update.gradient("forget"), update.gradient("retain"))

        curved = _along(update, ascent, ascent, further)
        return [2 * rho * h for h in curved], retain

    def _ascent(self, update: Update, forget: Sequence[Tensor], retain: Sequence[Tensor]) -> list[Tensor]:
        """Return grad Phi at the current weights, given the gradients of both terms there.

        With F the forget term, Phi = -F + similarity cos(grad F, grad L_r), and the cosine's gradient is
        H_F u + H_r v with u, v its derivatives after the two gradients.
        """
        climb = [-g for g in forget]
        sizes = [math.sqrt(dot(g, g)) for g in (forget, retain)]
        if not self.similarity or not all(sizes):
            return climb
        cosine = dot(forget, retain) / (sizes[0] * sizes[1])
        units = [[g / size for g in side] for side, size in zip((forget, retain), sizes, strict=True)]
        u = [x / sizes[0] for x in plus(units[1], -cosine, units[0])]
        v = [x / sizes[1] for x in plus(units[0], -cosine, units[1])]
        bend = _along(update, u, forget, lambda: update.gradient("forget"))
        turn = _along(update, v, retain, lambda: update.gradient("retain"))
        return plus(plus(climb, self.similarity, bend), self.similarity, turn)


def _along(
    update: Update, direction: list[Tensor], here: Sequence[Tensor], gradient: Callable[[], list[Tensor]]
) -> list[Tensor]:
    """Return the derivative along ``direction`` of a gradient whose value at the current weights is ``here``."""
    size = math.sqrt(dot(direction, direction))
    if not size:
        return [0 * g for g in here]
    with elsewhere(update, [_LENGTH / size * d for d in direction]):
        there = gradient()
    return [size / _LENGTH * (b - a) for a, b in zip(here, there, strict=True)]
