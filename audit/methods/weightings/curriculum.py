"""Curriculum: forget what is forgotten easily first, then the rest.

Miao et al. 2025 (CUFG), arXiv:2509.14633, for forgetting from easy to hard; Wu, Dyer, Neyshabur ICLR 2021,
arXiv:2012.03107, for linear pacing: at the share s of the steps the first

    F (initial + (1 - initial) s / full)

sequences take part, alike, and from s = full on all of them. The order is by the loss under the starting model: an
answer it hardly knows is easily forgotten, one it knows by heart is not. CUFG orders by its own score, of
image classifiers; with ``first=hard`` the order is reversed, the control of curriculum papers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from audit.core.lazy import lazy
from audit.methods.base import WEIGHTINGS
from audit.models.batches import autocast, forward_answer_logits, nll_by_row
from audit.models.starting_model import chunks
from audit.models.training import Context

torch = lazy("torch")


@WEIGHTINGS.register("curriculum")
@dataclass(frozen=True)
class Curriculum:
    """Begin with the answers the model knows least, then let the others join in."""

    initial: float = 0.25  # share of the forget sequences that take part from the first step, in (0, 1]
    full: float = 0.5  # share of the steps after which all take part, in (0, 1]
    first: Literal["easy", "hard"] = "easy"  # easy: the starting model's largest loss per token first

    source: ClassVar[str] = "arXiv:2509.14633, arXiv:2012.03107"
    evidence: ClassVar[str] = "experimental"
    needs: ClassVar[frozenset[str]] = frozenset()
    cost: ClassVar[float] = 0.17  # a forward is a third of a pass, the forget side half of a step

    def __post_init__(self) -> None:
        if not (0 < self.initial <= 1 and 0 < self.full <= 1) or self.first not in ("easy", "hard"):
            raise ValueError(
                f"curriculum needs initial and full in (0, 1] and first easy or hard, got {self.initial}, "
                f"{self.full} and {self.first!r}"
            )

    def even(self) -> Curriculum:
        """Return the curriculum in which all sequences take part from the first step."""
        return replace(self, initial=1.0)

    def weights(self, context: Context, share: float) -> np.ndarray:
        """Return F / k for the k sequences that take part, 0 for the others, shape (F,)."""
        loss = context.remember("curriculum", lambda: losses(context))
        order = np.argsort(-loss if self.first == "easy" else loss, kind="stable")
        taking = self.initial + (1 - self.initial) * min(1.0, share / self.full)
        count = max(1, round(taking * len(loss)))
        weights = np.zeros(len(loss))
        weights[order[:count]] = len(loss) / count
        return weights


def losses(context: Context) -> np.ndarray:
    """Return each forget answer's mean negative log-likelihood per token under the model as it is, (F,), nats."""
    found = []
    for part in chunks(context.forget_examples):
        batch = context.batch(part)
        with torch.no_grad(), autocast(context.model):
            nll = nll_by_row(forward_answer_logits(context.model.network, batch), batch)
        found.append((nll / torch.bincount(batch.rows, minlength=len(batch))).double().cpu().numpy())
    return np.concatenate(found)
