"""GU, geometric-disentanglement unlearning: no step may raise the retain loss, in the optimizer's own metric.

Zhou et al. 2025, arXiv:2511.17100: to first order the retain loss stays when the update is orthogonal to the
retain gradients. With AdamW's proposed change d, its metric H = diag(sqrt(v) + eps) and unit retain gradients
c_0 (this step's) to c_k (of the steps before),

    minimise 1/2 |d' - d|_H^2  subject to  <c_i, d'> <= 0   gives   d' = d - H^-1 sum_i mu_i c_i,  mu >= 0,

with G_ij = c_i' H^-1 c_j and mu the non-negative minimiser of 1/2 mu'G mu - mu'b, b_i = <c_i, d>. Momentum
and scaling are inside d, which is why projecting raw gradients would not do. Published: k = 8. The authors'
optional search for a step length that keeps the retain loss of one batch is left out: it has no guarantee.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from audit.core.lazy import lazy
from audit.methods.base import STEPS
from audit.models.update import Update, dot

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
optimize = lazy("scipy.optimize")


@STEPS.register("gu")
@dataclass(frozen=True)
class Disentangled:
    """Take out of AdamW's step what would raise the retain loss."""

    history: int = 8  # retain gradients of earlier steps that still count, >= 0

    source: ClassVar[str] = "arXiv:2511.17100"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.05
    needs: ClassVar[frozenset[str]] = frozenset({"forget", "retain"})
    never: ClassVar[str] = "AdamW's step raises no retain loss to first order"
    gradients: ClassVar[str] = "kept"

    def __post_init__(self) -> None:
        if self.history < 0:
            raise ValueError(f"history must not be negative, got {self.history}")

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return both gradients as they came; the retain gradient is remembered with unit length."""
        kept = self._kept(update)
        length = math.sqrt(dot(retain, retain))
        if length:
            kept.appendleft([g / length for g in retain])
        return forget, retain

    def correct(self, update: Update, proposed: list[Tensor]) -> list[Tensor]:
        """Return the nearest change, in AdamW's metric, that raises none of the remembered retain losses."""
        kept = list(self._kept(update))
        inverse = [_inverse_metric(update.optimizer, weight) for weight in update.weights.values()]
        rising, gram = _products(kept, inverse, proposed)
        multipliers = nonnegative_minimum(gram, rising)
        if not multipliers.any():
            return proposed
        return [
            step - scale * sum(float(mu) * c[i] for mu, c in zip(multipliers, kept, strict=True) if mu)
            for i, (step, scale) in enumerate(zip(proposed, inverse, strict=True))
        ]

    def _kept(self, update: Update) -> deque[list[Tensor]]:
        return update.context.remember("gu", lambda: deque(maxlen=self.history + 1))


def nonnegative_minimum(gram: np.ndarray, rising: np.ndarray) -> np.ndarray:
    """Return the mu >= 0, shape (k,), that minimises 1/2 mu' gram mu - mu' rising; gram (k, k) semidefinite."""
    if not (rising > 0).any():
        return np.zeros(len(rising))
    values, vectors = np.linalg.eigh(gram)
    sound = values > 1e-10 * values.max()  # collinear constraints leave directions that nothing depends on
    root = np.sqrt(values[sound])[:, None] * vectors[:, sound].T  # root' root = gram
    target = vectors[:, sound].T @ rising / np.sqrt(values[sound])  # root' target = rising
    return optimize.nnls(root, target)[0]


def _products(
    kept: Sequence[list[Tensor]], inverse: Sequence[Tensor], proposed: Sequence[Tensor]
) -> tuple[np.ndarray, np.ndarray]:
    """Return <c_i, d>, shape (k,), and c_i' H^-1 c_j, shape (k, k)."""
    rising, gram = np.zeros(len(kept)), np.zeros((len(kept), len(kept)))
    for i, (scale, step) in enumerate(zip(inverse, proposed, strict=True)):
        if kept:
            rows = torch.stack([c[i].flatten() for c in kept])  # (k, numel)
            rising += (rows @ step.flatten()).double().cpu().numpy()
            gram += ((rows * scale.flatten()) @ rows.T).double().cpu().numpy()
    return rising, gram


def _inverse_metric(optimizer: Any, weight: Any) -> Tensor:
    """Return 1 / (sqrt(v) + eps) of AdamW after its step, v corrected for its start at zero.

    0 for a weight that no gradient has reached: it does not move.
    """
    state, group = optimizer.state.get(weight), optimizer.param_groups[0]
    if not state:
        return torch.zeros_like(weight)
    corrected = state["exp_avg_sq"] / (1 - group["betas"][1] ** float(state["step"]))
    return 1 / (corrected.sqrt() + group["eps"])
