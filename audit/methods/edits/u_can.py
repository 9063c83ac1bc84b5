"""U-CAN, utility-aware contrastive attenuation: turn down the units that answer to forgotten questions only.

Wu et al. 2026, arXiv:2602.23400 (LoRA adapters of recommender systems). For input j of a map W, a_j its
activation where answer tokens are predicted,

    contrast_j = (mean_f |a_j| - mean_r |a_j|) / (mean_f |a_j| + mean_r |a_j|),
    utility_j  = mean |W_:j| * rms_r(a_j),
    risk_j     = scaled(contrast)_j - utility_weight * scaled(utility)_j,
    W_:j <- exp(-decay max(0, risk_j - threshold)) W_:j,

each scaled to [0, 1] over the inputs of its map, from the smallest to the largest.
W is the B of every adapter, where the model carries one, as in the paper; else the projection that leads out of
every feed-forward part. How the paper scales contrast and utility and the shape of its decay are not
known to us: these are ours. Weights of the base are left alone where there is an adapter; a scope that names blocks
means those of the two merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.methods.edits.reach import consulted, demand_retain, leading_out, projections_in, weights_in
from audit.models.batches import Batch
from audit.models.curvature import batches
from audit.models.layers import Linear, hidden_states
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Budget, Example

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@METHODS.register("u_can")
@dataclass(frozen=True)
class ContrastiveAttenuation:
    """Turn down inner units, of an adapter where there is one, that are busier on forget than on retain answers."""

    decay: float = 10.0  # how fast a unit is turned down beyond the threshold, >= 0; 0 is the identity
    threshold: float = 0.3  # risk from which a unit is turned down
    utility_weight: float = 0.5  # how much usefulness for retain answers lowers the risk, >= 0

    family: ClassVar[str] = "dampening"
    source: ClassVar[str] = "arXiv:2602.23400"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 0.33
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"steps": 20}
    spends: ClassVar[frozenset[str]] = frozenset({"steps", "batch"})
    adapts: ClassVar[bool] = False
    keeps_adapter: ClassVar[bool] = True  # a model that carries one is edited there, and not merged before

    def __post_init__(self) -> None:
        if not (self.decay >= 0 and self.utility_weight >= 0):
            raise ValueError(
                f"decay and utility_weight must not be negative, got {self.decay} and {self.utility_weight}"
            )

    def zero(self) -> ContrastiveAttenuation:
        """Return the edit that turns nothing down."""
        return replace(self, decay=0.0)

    def apply(
        self,
        model: LanguageModel,
        forget: Sequence[Example],
        retain: Sequence[Example],
        budget: Budget,
        scope: Scope,
        seed: int,
    ) -> None:
        """Scale the columns of the maps in scope; forward passes only."""
        demand_retain(retain, "u_can")
        chosen = _maps(model, scope)
        ours, theirs = (
            _activity(model, batches(model, consulted(side, budget, seed, "u_can"), budget.batch), chosen)
            for side in (forget, retain)
        )
        with torch.no_grad():
            for name, one in chosen.items():
                if name in ours and name in theirs:
                    one.matrix.mul_(self.factors(ours[name], theirs[name], one.matrix))
        model.network.requires_grad_(False)

    def factors(self, forget: Activity, retain: Activity, matrix: Tensor) -> Tensor:
        """Return what each column of a (out, in) matrix is multiplied with, shape (in,), in (0, 1]."""
        contrast = (forget.size - retain.size) / (forget.size + retain.size).clamp(min=1e-12)
        utility = matrix.abs().mean(0) * retain.rms
        risk = scaled(contrast) - self.utility_weight * scaled(utility)
        return torch.exp(-self.decay * (risk - self.threshold).clamp(min=0))


def scaled(values: Tensor) -> Tensor:
    """Return the values from the smallest, 0, to the largest, 1; zeros where all are equal."""
    return (values - values.min()) / (values.max() - values.min()).clamp(min=1e-12)


class Activity(NamedTuple):
    """Of the inputs of one map where answer tokens are predicted: mean |a_j| and root mean square, (in,)."""

    size: Tensor
    rms: Tensor


def _maps(model: LanguageModel, scope: Scope) -> dict[str, Linear]:
    """Return name -> map whose inputs are weighed: adapters' B, else what leads out of feed-forward parts."""
    if model.has_adapter:
        free = weights_in(scope, model)
        modules = model.network.named_modules()
        return {n: Linear(n, m, False) for n, m in modules if ".lora_B." in n and f"{n}.weight" in free}
    found = projections_in(scope, model)
    return {name: found[name] for name in leading_out(found)}


def _activity(
    model: LanguageModel, data: Iterable[Batch], chosen: Mapping[str, Linear]
) -> dict[str, Activity]:
    sizes: dict[str, Any] = {}
    squares: dict[str, Any] = {}
    tokens = 0
    for batch in data:

        def see(module: Any, args: Any, name: str, batch: Batch = batch) -> None:
            a = args[0][batch.rows, batch.positions].float()  # (N, in)
            sizes[name] = sizes.get(name, 0) + a.abs().sum(0)
            squares[name] = squares.get(name, 0) + a.square().sum(0)

        handles = [
            one.module.register_forward_pre_hook(
                lambda module, args, name=name, see=see: see(module, args, name)
            )
            for name, one in chosen.items()
        ]
        try:
            with torch.no_grad():
                hidden_states(model.network, batch.ids)
        finally:
            for handle in handles:
                handle.remove()
        tokens += len(batch.rows)
    return {name: Activity(sizes[name] / tokens, (squares[name] / tokens).sqrt()) for name in sizes}
