"""SURE, saliency-based unlearning with a large rate: few neurons move, far enough to survive quantization.

Zhang et al. ICLR 2025, arXiv:2410.16454: with s_n = |gradient of the forget term at the starting weights| of
neuron n and q the 90th percentile over all neurons, only neurons with s_n >= q are updated. Updates of usual size
are smaller than a 4-bit bin, and rounding brings the knowledge back; a mask allows a larger rate at the same
harm, which the budget's lr has to say. A neuron is a row of a weight matrix, its output unit; entries of
biases and norms count one by one. The authors' released code never applies its mask (transformers has no such
hook); here masked weights stay bit-identical.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from audit.core.lazy import lazy
from audit.methods.base import STEPS
from audit.methods.steps.projections import output_axis
from audit.models.update import Update, plus

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

_BATCH = 16  # with a graph; some objectives answer every question several times


@STEPS.register("sure")
@dataclass(frozen=True)
class SalientNeurons:
    """Update only the neurons that the forget term moves most at the start."""

    share: float = 0.1  # of neurons that may move, in (0, 1]; 1 moves all that have a gradient

    source: ClassVar[str] = "arXiv:2410.16454"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"forget"})
    never: ClassVar[str] = "share is 1 and every neuron has a forget gradient"
    gradients: ClassVar[str] = "kept"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share}")

    def prepare(self, update: Update) -> None:
        """Choose the neurons by the mean gradient of the forget term over all forget sequences."""
        update.context.remember("sure", lambda: self._masks(update))

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return both gradients, zero outside the chosen neurons: clipping sees what moves."""
        masks = self._chosen(update)
        return _masked(forget, masks), _masked(retain, masks)

    def correct(self, update: Update, proposed: list[Tensor]) -> list[Tensor]:
        """Return the change, zero outside the chosen neurons: weight decay moves nothing else either."""
        return _masked(proposed, self._chosen(update))

    def _chosen(self, update: Update) -> list[Tensor]:
        return update.context.remember("sure", lambda: self._masks(update))

    def _masks(self, update: Update) -> list[Tensor]:
        """Return one boolean mask per weight, broadcastable to it."""
        lengths = [
            _lengths(g, output_axis(update.context.model.network, name))
            for name, g in zip(update.weights, _mean_forget_gradient(update), strict=True)
        ]
        least = np.quantile(np.concatenate([x.flatten().cpu().numpy() for x in lengths]), 1 - self.share)
        # Where most gradients are zero, the quantile is too: a neuron without a gradient is not salient.
        return [(x >= float(least)) & (x > 0) for x in lengths]


def _mean_forget_gradient(update: Update) -> list[Tensor]:
    examples = update.context.forget_examples
    mean = [torch.zeros_like(w) for w in update.weights.values()]
    for start in range(0, len(examples), _BATCH):
        part = examples[start : start + _BATCH]
        mean = plus(mean, len(part) / len(examples), update.gradient("forget", part))
    return mean


def _lengths(gradient: Tensor, axis: int) -> Tensor:
    """Return the norm of every neuron's gradient, shaped to broadcast against it."""
    if gradient.ndim < 2:
        return gradient.abs()
    others = tuple(i for i in range(gradient.ndim) if i != axis)
    return gradient.square().sum(dim=others, keepdim=True).sqrt()


def _masked(values: Sequence[Tensor], masks: Sequence[Any]) -> list[Tensor]:
    return [v if bool(m.all()) else v * m for v, m in zip(values, masks, strict=True)]
