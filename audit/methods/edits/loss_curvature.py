"""Loss-curvature editing: keep the directions that many sequences use, drop those that few memorised ones need.

Merullo et al. 2025, arXiv:2510.24256. For a feed-forward projection W with K-FAC factors A = U_A diag(mu) U_A'
(inputs) and G = U_G diag(lambda) U_G' (gradients), C = U_G' W U_A; keep the fewest entries of C whose curvature
lambda_i mu_j adds up to ``mass`` of the whole, in descending order:

    W <- U_G (C * kept) U_A'.

Untargeted in the paper (20 million tokens of a general corpus, gate and up projections of layers 23 to 25 of
32, mass .6: `loss_curvature @layers(23:26).mlp`); here the factors are the retain set's, so that what only the
forget set uses goes. The depth is left to the scope: where a model keeps its answers is its own. At the published depth,
.72 to .78, the second of two blocks, the tiny laboratory forgets nothing at all (three seeds, mass .6 to .9); all blocks
at mass .6 leave it .50 of the forget and .47 of the retain answers, the first block alone .71 and .70.
Known failure: facts and arithmetic that few sequences need go as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from audit.core.lazy import lazy
from audit.core.seeds import derive
from audit.methods.base import METHODS
from audit.methods.edits.reach import consulted, demand_retain, leading_out, projections_in
from audit.models.curvature import Factors, batches, kfac
from audit.models.layers import Linear
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Budget, Example

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@METHODS.register("loss_curvature")
@dataclass(frozen=True)
class CurvatureEdit:
    """Drop the low-curvature part of feed-forward weights, in every block that the scope leaves free."""

    mass: float = 0.6  # share of the curvature to keep, in [0, 1]; 1 keeps the weights

    family: ClassVar[str] = "curvature"
    source: ClassVar[str] = "arXiv:2510.24256"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 0.5
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"steps": 20}
    spends: ClassVar[frozenset[str]] = frozenset({"steps", "batch"})
    adapts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.mass <= 1:
            raise ValueError(f"mass must be in [0, 1], got {self.mass}")

    def zero(self) -> CurvatureEdit:
        """Return the edit that keeps everything."""
        return replace(self, mass=1.0)

    def apply(
        self,
        model: LanguageModel,
        forget: Sequence[Example],
        retain: Sequence[Example],
        budget: Budget,
        scope: Scope,
        seed: int,
    ) -> None:
        """Edit the feed-forward in-projections in scope; the forget set is not looked at."""
        demand_retain(retain, "loss_curvature")
        chosen = entering(projections_in(scope, model))
        data = batches(model, consulted(retain, budget, seed, "loss_curvature"), budget.batch)
        dice = torch.Generator().manual_seed(derive(seed, "loss_curvature signs"))
        factors = kfac(model, data, list(chosen), dice) if self.mass < 1 else {}
        with torch.no_grad():
            for name, found in factors.items():
                matrix = chosen[name].matrix
                matrix.copy_(self.kept(matrix.double(), found))
        model.network.requires_grad_(False)

    def kept(self, matrix: Tensor, factors: Factors) -> Tensor:
        """Return the part of a (out, in) matrix that carries ``mass`` of the curvature."""
        means, bases = zip(*(torch.linalg.eigh(f.double()) for f in factors), strict=True)
        curvature = torch.outer(*(m.clamp(min=0) for m in reversed(means)))  # (out, in)
        ordered, order = curvature.flatten().sort(descending=True, stable=True)
        before = ordered.cumsum(0) - ordered  # curvature of all larger entries
        mask = torch.zeros_like(ordered)
        mask[order] = (before < self.mass * ordered.sum()).to(mask)
        inputs, gradients = bases
        return gradients @ ((gradients.T @ matrix @ inputs) * mask.reshape(curvature.shape)) @ inputs.T


def entering(projections: Mapping[str, Linear]) -> dict[str, Linear]:
    """Return the feed-forward projections but the last of each block, which leads out."""
    out = leading_out(projections)
    return {name: one for name, one in projections.items() if ".mlp." in name and name not in out}
