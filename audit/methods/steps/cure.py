"""CURE, circuit-aware updates: a module is moved by the side whose circuit it belongs to.

Chen et al. 2026, arXiv:2604.04982 (recommender systems). Modules of the forget circuit alone follow the forget
gradient, those of the retain circuit alone the retain gradient, those of both follow both with the conflict
projected out as in `pcgrad`, and nothing else moves. The paper finds circuits by patching activations from
counterfactual prompts of a user-item graph. Text has no such graph: here a projection's part in a side is the
mean over sequences of |<y, dz/dy>|, y its output and z the answer logits above the mean logit: attribution
patching against zero. A circuit is the ``share`` of projections with the largest part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.methods.base import STEPS
from audit.methods.steps.pcgrad import GradientSurgery
from audit.methods.steps.projections import place
from audit.models.batches import Example, forward_answer_logits
from audit.models.curvature import batches, traced, watching
from audit.models.language_model import LanguageModel
from audit.models.update import Update

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

_BATCH = 16


@STEPS.register("cure")
@dataclass(frozen=True)
class CircuitAware:
    """Move each projection by the gradient of the side it serves."""

    share: float = 0.5  # of the projections in scope that make up a side's circuit, in (0, 1]

    source: ClassVar[str] = "arXiv:2604.04982"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 1.05
    needs: ClassVar[frozenset[str]] = frozenset({"forget", "retain"})
    never: ClassVar[str] = "share is 1, only projections are in scope and the gradients do not conflict"
    gradients: ClassVar[str] = "changed"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share}")

    def prepare(self, update: Update) -> None:
        """Find both circuits in the starting model."""
        self._circuits(update)

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return each side's gradient where its circuit is, without conflict where both are."""
        ours, theirs = ([0 * g for g in side] for side in (forget, retain))
        circuits = self._circuits(update)
        for module, indices in self._modules(update).items():
            f, r = [forget[i] for i in indices], [retain[i] for i in indices]
            in_forget, in_retain = (module in circuit for circuit in circuits)
            if in_forget and in_retain:
                f, r = GradientSurgery().transform(update, f, r)
            for k, i in enumerate(indices):
                ours[i] = f[k] if in_forget else ours[i]
                theirs[i] = r[k] if in_retain else theirs[i]
        return ours, theirs

    def correct(self, update: Update, proposed: list[Tensor]) -> list[Tensor]:
        """Return the change, zero outside both circuits: weight decay moves nothing there either."""
        moving = set[str]().union(*self._circuits(update))
        return [
            change if place(name).module in moving else 0 * change
            for name, change in zip(update.weights, proposed, strict=True)
        ]

    def _circuits(self, update: Update) -> tuple[set[str], set[str]]:
        """Return the modules of the forget circuit and of the retain circuit."""

        def find() -> tuple[set[str], set[str]]:
            context, modules = update.context, list(self._modules(update))
            sides = (context.forget_examples, context.retain_examples)
            forget, retain = (parts(context.model, side, modules) for side in sides)
            if not forget:
                raise AuditError("E267", "cure finds no projection in scope", "name blocks, or leave it out")
            return self._largest(forget), self._largest(retain)

        return update.context.remember("cure", find)

    def _largest(self, found: Mapping[str, float]) -> set[str]:
        return set(sorted(found, key=lambda name: (-found[name], name))[: math.ceil(self.share * len(found))])

    def _modules(self, update: Update) -> dict[str, list[int]]:
        """Return module -> positions of its weights in the update."""
        modules: dict[str, list[int]] = {}
        for i, name in enumerate(update.weights):
            modules.setdefault(place(name).module, []).append(i)
        return modules


def parts(model: LanguageModel, examples: Sequence[Example], names: Sequence[str]) -> dict[str, float]:
    """Return name -> mean over sequences of |<y, dz/dy>| of the named projections; other names are left out."""
    sums: dict[str, float] = {}
    for batch in batches(model, examples, _BATCH):
        outputs: dict[str, Any] = {}
        with watching(model.network, names, lambda n, x, y, seen=outputs: seen.update({n: traced(y)})):
            logits = forward_answer_logits(model.network, batch)  # (N, V)
        if not outputs:
            return {}
        above = logits.gather(1, batch.targets[:, None]).sum() - logits.mean(-1).sum()
        slopes = torch.autograd.grad(above, list(outputs.values()))
        for (name, output), slope in zip(outputs.items(), slopes, strict=True):
            effect = (output.detach() * slope).sum((1, 2)).abs().sum()  # over tokens and units, per sequence
            sums[name] = sums.get(name, 0.0) + float(effect) / len(examples)
    return sums
