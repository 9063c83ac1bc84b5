"""GUARD, data attribution: hold back on forget sequences whose removal would cost the retain answers.

Ma, Zhou, Niu et al. 2025, arXiv:2506.10946. The attribution of forget sequence i is the alignment of its gradient with
the mean retain gradient at the starting weights, here the cosine a_i of grad l_i and mean_r grad l_r: descending on a
sequence of large a_i helps the retain answers, so ascending on it harms them. Weights fall with it,

    w_i = F exp(-a_i / temperature) / sum_j exp(-a_j / temperature).

Softmax and cosine are reconstructed from "inversely proportional" in the abstract; the paper's inner products span
decades, so that one sequence gets nearly all weight (159 of 160 measured in the tiny laboratory). Gradients are those of
the weights in scope. Spent once: a gradient per forget sequence and one over as many retain sequences.

What is held back is forgotten less by design: look at the worst-off persons, not at the mean. The report's tables of
groups, of single subjects and of the worst-off 5 and 10 % (exhibits ``groups``, ``subjects``, ``quantiles``) show them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from audit.core.lazy import lazy
from audit.core.seeds import generator
from audit.methods.base import WEIGHTINGS
from audit.methods.edits.reach import demand_retain
from audit.models.batches import Example, autocast, forward_answer_logits
from audit.models.training import Context
from audit.models.update import dot, plus

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

_BATCH = 32  # retain sequences to a gradient


@WEIGHTINGS.register("guard")
@dataclass(frozen=True)
class AttributionGuard:
    """See a forget sequence the less often, the more its gradient is that of the retain answers."""

    temperature: float = 0.1  # in cosines, > 0: exp(difference / temperature) is the ratio of two weights

    source: ClassVar[str] = "arXiv:2506.10946"
    evidence: ClassVar[str] = "experimental"
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    cost: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")

    def even(self) -> AttributionGuard:
        """Return the guard of infinite temperature, which weighs all alike."""
        return replace(self, temperature=math.inf)

    def weights(self, context: Context, share: float) -> np.ndarray:
        """Return the weights at the starting model, shape (F,), > 0; the same at every step. AuditError E269."""
        demand_retain(context.retain_examples, "guard")
        return context.remember("guard", lambda: self.weigh(self.attributions(context)))

    def attributions(self, context: Context) -> np.ndarray:
        """Return each forget sequence's alignment with the retain answers, shape (F,)."""
        wanted = generator(context.seed, "guard").permutation(len(context.retain_examples))
        others = [context.retain_examples[i] for i in wanted[: len(context.forget_examples)]]
        parts = [others[start : start + _BATCH] for start in range(0, len(others), _BATCH)]
        retained = [torch.zeros_like(weight) for weight in _movable(context)]
        for part in parts:
            retained = plus(retained, len(part) / len(others), _gradient(context, part))
        return np.array([cosine(_gradient(context, [one]), retained) for one in context.forget_examples])

    def weigh(self, attributions: np.ndarray) -> np.ndarray:
        """Return the weights of attributions, both of shape (F,)."""
        raw = np.exp((attributions.min() - attributions) / self.temperature)  # at most 1: nothing overflows
        return raw / raw.mean()


def cosine(left: Sequence[Tensor], right: Sequence[Tensor]) -> float:
    """Return the cosine of two gradients, 0 where one has no direction."""
    size = math.sqrt(dot(left, left) * dot(right, right))
    return dot(left, right) / size if size else 0.0


def _movable(context: Context) -> list[Tensor]:
    return [weight for weight in context.model.network.parameters() if weight.requires_grad]


def _gradient(context: Context, examples: Sequence[Example]) -> list[Tensor]:
    """Return the gradient, over the weights in scope, of the mean per sequence of the answers' mean nll per token."""
    batch = context.batch(examples)
    with autocast(context.model):
        logits = forward_answer_logits(context.model.network, batch)
    nll = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none")  # (N,)
    tokens = torch.bincount(batch.rows, minlength=len(batch))
    mean = (nll / tokens[batch.rows]).sum() / len(batch)
    weights = _movable(context)
    found = torch.autograd.grad(mean, weights, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for g, w in zip(found, weights, strict=True)]
