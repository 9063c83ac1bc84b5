"""GUARD, data attribution: hold back on forget sequences whose removal would cost the retain answers.

Ma, Zhou, Niu et al. 2025, arXiv:2506.10946. The attribution of forget sequence i is the alignment of its gradient with
the mean retain gradient at the starting weights, a_i = <grad l_i, mean_r grad l_r>; descending on a sequence of large a_i
helps the retain answers, so ascending on it harms them. Weights fall with it,

    w_i = F exp(-z_i / temperature) / sum_j exp(-z_j / temperature),    z = (a - mean(a)) / sd(a).

The softmax form is reconstructed from "inversely proportional" in the abstract. Inner products span decades, so z
makes the temperature scale-free, and a is a cosine unless ``alignment=product``, the paper's. Gradients are those of the
weights in scope. Spent once: a gradient per forget sequence and one over as many retain sequences.

What is held back is forgotten less by design: look at the worst-off persons, not at the mean. The report's tables of
groups, of single subjects and of the worst-off 5 and 10 % (exhibits ``groups``, ``subjects``, ``quantiles``) show them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

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

    temperature: float = 1.0  # in standard deviations of the attribution, > 0; large weighs all alike
    alignment: Literal["cosine", "product"] = "cosine"  # of the two gradients: cosine, or inner product

    source: ClassVar[str] = "arXiv:2506.10946"
    evidence: ClassVar[str] = "experimental"
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    cost: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0 or self.alignment not in ("cosine", "product"):
            raise ValueError(
                f"guard needs temperature > 0 and alignment cosine or product, got {self.temperature} and "
                f"{self.alignment!r}"
            )

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
        return np.array([self.align(_gradient(context, [one]), retained) for one in context.forget_examples])

    def align(self, forget: Sequence[Tensor], retain: Sequence[Tensor]) -> float:
        """Return the alignment of two gradients; 0 where a cosine has no direction."""
        product = dot(forget, retain)
        if self.alignment == "product":
            return product
        size = math.sqrt(dot(forget, forget) * dot(retain, retain))
        return product / size if size else 0.0

    def weigh(self, attributions: np.ndarray) -> np.ndarray:
        """Return the weights of attributions, both of shape (F,); all 1 where these do not differ."""
        spread = attributions.std()
        scores = (attributions - attributions.mean()) / spread if spread else np.zeros_like(attributions)
        raw = np.exp((scores.min() - scores) / self.temperature)  # at most 1: nothing overflows
        return raw / raw.mean()


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
