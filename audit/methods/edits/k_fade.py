"""K-FADE: go uphill on the forget loss, as far as the retain answers' distributions allow.

McKinney et al. SaTML 2026, arXiv:2602.10568: each of a few steps maximises <grad L_f, d> subject to d'G d / 2 <=
``divergence``, G the Gauss-Newton matrix of the divergence on the retain set, so that

    d = eta (G + damping)^-1 grad L_f,     eta = sqrt(2 divergence / <grad L_f, (G + damping)^-1 grad L_f>),

with G by K-FAC: in the joint eigenbasis of a projection's factors the gradient is divided by lambda_i mu_j +
damping times their mean. Only projections inside the blocks move. Next to answers known by heart the curvature
grows by orders of magnitude within one such step, so eta is shortened until the measured mean divergence of the retain
answers' distributions, nats per token, obeys too, on three batches of retain sequences drawn anew for every step: in the
tiny laboratory all 120 moved 0.8 to 1.5 times as far as the 96 drawn. That, the relative damping, the constants and factors
measured once, at the start, on as many retain sequences as the budget sees, are ours: the reference gives the form of the
step alone. A projection without any curvature stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from audit.core.lazy import lazy
from audit.core.seeds import derive, some
from audit.methods.base import METHODS
from audit.methods.edits.reach import consulted, demand_retain, projections_in
from audit.models.batches import forward_answer_logits
from audit.models.curvature import Factors, batches, kfac
from audit.models.layers import Linear
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Budget, Example

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

_HALVINGS = 40  # then the step is not taken
_WATCHED = 3  # batches of retain sequences per step: with one, the whole set moved up to three times as far as allowed


@METHODS.register("k_fade")
@dataclass(frozen=True)
class CurvatureAscent:
    """Raise the forget loss by Gauss-Newton steps that the retain answers hardly notice."""

    divergence: float = 0.005  # allowed per step, nats per retain answer token, >= 0
    damping: float = 0.1  # added to every curvature, as a share of a projection's mean curvature, > 0

    family: ClassVar[str] = "curvature"
    source: ClassVar[str] = "arXiv:2602.10568"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 11.0  # 17 times three batches forward 8.5, factors .5, four forget batches 2
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"steps": 3}
    spends: ClassVar[frozenset[str]] = frozenset({"steps", "batch"})
    adapts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (self.divergence >= 0 and self.damping > 0):
            raise ValueError(
                f"k_fade needs divergence >= 0 and damping > 0, got {self.divergence} and {self.damping}"
            )

    def zero(self) -> CurvatureAscent:
        """Return the edit that allows no divergence."""
        return replace(self, divergence=0.0)

    def apply(
        self,
        model: LanguageModel,
        forget: Sequence[Example],
        retain: Sequence[Example],
        budget: Budget,
        scope: Scope,
        seed: int,
    ) -> None:
        """Take ``budget.steps`` steps uphill, each over all forget and three batches of retain sequences."""
        demand_retain(retain, "k_fade")
        chosen = projections_in(scope, model)
        if self.divergence and budget.steps:
            spectra = self._spectra(model, consulted(retain, budget, seed, "k_fade"), budget, chosen, seed)
            moving = {name: chosen[name] for name in spectra}
            for step in range(budget.steps if moving else 0):
                watched = some(retain, _WATCHED * budget.batch, seed, "k_fade", step)
                self._climb(model, (forget, watched), budget.batch, moving, spectra)
        model.network.requires_grad_(False)

    def _spectra(
        self,
        model: LanguageModel,
        retain: Sequence[Example],
        budget: Budget,
        chosen: Mapping[str, Linear],
        seed: int,
    ) -> dict[str, Spectrum]:
        """Return name -> damped curvature; where there is none at all, no step has a length, and no entry."""
        dice = torch.Generator().manual_seed(derive(seed, "k_fade signs"))
        factors = kfac(model, batches(model, retain, budget.batch), list(chosen), dice)
        found = {name: Spectrum.of(factors[name], self.damping) for name in chosen}
        return {name: one for name, one in found.items() if one.curved}

    def _climb(
        self,
        model: LanguageModel,
        data: tuple[Sequence[Example], Sequence[Example]],
        size: int,
        chosen: Mapping[str, Linear],
        spectra: Mapping[str, Spectrum],
    ) -> None:
        """Take one step; ``data``: forget sequences, and the retain sequences that its length is measured on."""
        forget, watched = data
        slopes = _slopes(model, forget, size, chosen)
        steps = {name: spectra[name].divided(slope) for name, slope in slopes.items()}
        rise = sum(float((slopes[name] * step).sum()) for name, step in steps.items())
        if not rise > 0:  # not a number either
            return
        before = list(_distributions(model, watched, size))
        start = {name: one.matrix.detach().clone() for name, one in chosen.items()}

        def go(length: float) -> None:
            with torch.no_grad():
                for name, one in chosen.items():
                    one.matrix.copy_(start[name] + length * steps[name] if length else start[name])

        def obeys(length: float) -> bool:
            go(length)
            return divergence(before, _distributions(model, watched, size)) <= self.divergence

        go(longest(obeys, math.sqrt(2 * self.divergence / rise)))


def longest(obeys: Callable[[float], bool], most: float) -> float:
    """Return the largest length found that obeys: ``most``, else within 5 % of its limit; 0 if none does."""
    if obeys(most):
        return most
    for _ in range(_HALVINGS):
        most /= 2
        if obeys(most):
            break
    else:
        return 0.0
    step = most / 2
    while step > 0.02 * most:
        most, step = (most + step if obeys(most + step) else most), step / 2
    return most


class Spectrum:
    """The damped curvature of one projection in its eigenbasis."""

    def __init__(self, inputs: Tensor, gradients: Tensor, curvature: Tensor) -> None:
        self._inputs, self._gradients = inputs, gradients  # eigenvectors as columns
        self._curvature = curvature  # (out, in)

    @classmethod
    def of(cls, factors: Factors, damping: float) -> Spectrum:
        """Return the spectrum of lambda_i mu_j + damping * mean of all of them."""
        (mu, inputs), (lam, gradients) = (torch.linalg.eigh(f.double()) for f in factors)
        curvature = torch.outer(lam.clamp(min=0), mu.clamp(min=0))
        return cls(inputs, gradients, curvature + damping * curvature.mean())

    @property
    def curved(self) -> bool:
        """Whether there is any curvature: without, a step would have no limit."""
        return bool(self._curvature.max() > 0)

    def divided(self, slope: Tensor) -> Tensor:
        """Return (G + damping)^-1 slope for a slope of shape (out, in), float32."""
        rotated = self._gradients.T @ slope.double() @ self._inputs
        return (self._gradients @ (rotated / self._curvature) @ self._inputs.T).float()


def divergence(before: Sequence[Tensor], now: Iterable[Tensor]) -> float:
    """Return the mean over answer tokens of KL(before || now), nats, given log-probabilities (N, V) per batch."""
    total = sum(float((b.exp() * (b - n)).sum()) for b, n in zip(before, now, strict=True))
    return total / sum(len(b) for b in before)


def _distributions(model: LanguageModel, examples: Sequence[Example], size: int) -> Iterator[Tensor]:
    """Yield the log-probabilities at answer tokens, (N, V), batch by batch."""
    for batch in batches(model, examples, size):
        with torch.no_grad():
            found = forward_answer_logits(model.network, batch).log_softmax(-1)
        yield found


def _slopes(
    model: LanguageModel, forget: Sequence[Example], size: int, chosen: Mapping[str, Linear]
) -> dict[str, Tensor]:
    """Return name -> gradient, (out, in), of the mean -log p per forget answer token."""
    weights = [one.module.weight for one in chosen.values()]
    sums: list[Any] = [0.0] * len(weights)
    tokens = 0
    for batch in batches(model, forget, size):
        logits = forward_answer_logits(model.network, batch)
        nll = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="sum")
        sums = [total + g for total, g in zip(sums, torch.autograd.grad(nll, weights), strict=True)]
        tokens += len(batch.targets)
    named = zip(chosen.items(), sums, strict=True)
    return {name: (total.T if one.transposed else total) / tokens for (name, one), total in named}
