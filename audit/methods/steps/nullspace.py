"""Null-space projection: feed-forward weights move only where retain activations hardly go.

Fang et al. 2026 (KUDA), arXiv:2602.19275, third stage. With the retain inputs of a projection W, mean x x' = U
diag(e) U', and U_> the eigenvectors with e above threshold * max e, every change becomes

    dW <- dW (I - (1 - relaxation) U_> U_>'),

so that dW x is damped on what retain sequences send through W. The relaxed factor and the relative
threshold are our reading of the abstract. Applied to what AdamW proposes, since its scaling would turn a
projected gradient out of the null space. Weights outside feed-forward projections are left alone; restrict
them with `@layers(a:b).mlp`. An adapter's A is projected as well as its changes: dW = B A follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.methods.base import STEPS
from audit.methods.steps.projections import input_axis, place
from audit.models.curvature import batches, input_moments
from audit.models.update import Update

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

_BATCH = 64


@STEPS.register("nullspace")
@dataclass(frozen=True)
class NullSpaceProjection:
    """Keep changes of feed-forward weights out of the directions of retain activations."""

    relaxation: float = 0.1  # share of a change kept in retain directions, in [0, 1]; 1 projects nothing
    threshold: float = 0.01  # eigenvalues above this share of the largest are retain directions, in [0, 1]

    source: ClassVar[str] = "arXiv:2602.19275"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset()
    never: ClassVar[str] = "relaxation is 1, or no feed-forward projection is in scope"
    gradients: ClassVar[str] = "kept"

    def __post_init__(self) -> None:
        if not (0 <= self.relaxation <= 1 and 0 <= self.threshold <= 1):
            raise ValueError(
                f"relaxation and threshold must be in [0, 1], got {self.relaxation} and {self.threshold}"
            )

    def prepare(self, update: Update) -> None:
        """Measure the retain inputs of the starting model; AuditError E269 without retain sequences."""
        directions = self._directions(update)
        with torch.no_grad():
            for name, weight in update.weights.items():
                if name in directions and _begins_empty(update, name):
                    weight.copy_(self._damped(weight, directions[name], axis=1))

    def correct(self, update: Update, proposed: list[Tensor]) -> list[Tensor]:
        """Return the changes, damped along the retain directions of their projection's input."""
        directions, network = self._directions(update), update.context.model.network
        if self.relaxation == 1:
            return proposed
        return [
            self._damped(change, directions[name], input_axis(network, name))
            if name in directions
            else change
            for name, change in zip(update.weights, proposed, strict=True)
        ]

    def _damped(self, change: Tensor, directions: Tensor, axis: int) -> Tensor:
        """Return change (I - (1 - relaxation) U U') along ``axis``; ``directions`` is U, (in, k)."""
        rows = change if axis == 1 else change.T
        damped = rows - (1 - self.relaxation) * (rows @ directions) @ directions.T
        return damped if axis == 1 else damped.T

    def _directions(self, update: Update) -> dict[str, Tensor]:
        """Return weight name -> retain directions of its input, (in, k), for feed-forward projections in scope."""
        return update.context.remember("nullspace", lambda: self._measured(update))

    def _measured(self, update: Update) -> dict[str, Tensor]:
        context = update.context
        if not context.retain_examples:
            raise AuditError(
                "E269",
                "nullspace measures retain activations, there is no retain set",
                "give retain sequences, or leave the step out",
            )
        modules = {
            name: place(name).module
            for name in update.weights
            if ".mlp." in name and place(name).role in ("weight", "lora_A")
        }
        data = batches(context.model, context.retain_examples, _BATCH)
        moments = input_moments(context.model, data, sorted(set(modules.values())))
        kept = {module: self._large(moment) for module, moment in moments.items()}
        return {name: kept[module] for name, module in modules.items() if module in kept}

    def _large(self, moment: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(moment.double())
        return vectors[:, values > self.threshold * values.max()].float()


def _begins_empty(update: Update, name: str) -> bool:
    """Return whether a weight is the A of an adapter whose B is zero: changing it then changes no output."""
    partner = update.weights.get(name.replace("lora_A", "lora_B"))
    return place(name).role == "lora_A" and partner is not None and not bool(partner.any())
