"""The one step loop: unlearning, relearning and reference training all run through it.

Forget and retain share one concatenated forward and one backward pass unless a step transform needs their
gradients apart. A term of weight zero is never computed. Networks stay in eval mode (no dropout), so that a
seed fixes every bit of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.core.lazy import lazy
from audit.core.progress import NullProgress, Progress
from audit.core.seeds import generator
from audit.models.batches import Batch, Example
from audit.models.context import Context
from audit.models.load import LanguageModel
from audit.models.objective import NLL, Budget, Callback, Objective, Weighting, services
from audit.models.recomputation import recomputed
from audit.models.scope import Scope
from audit.models.stream import stream
from audit.models.update import GradientStep, PreparedStep, Side, Step, Update, UpdateStep

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "NLL",
    "Batch",
    "Budget",
    "Callback",
    "Context",
    "Example",
    "Objective",
    "Step",
    "Update",
    "Weighting",
    "fit",
    "train",
]

torch = lazy("torch")


def train(
    model: LanguageModel,
    objective: Objective,
    forget: Sequence[Example],
    retain: Sequence[Example],
    budget: Budget,
    *,
    scope: Scope | None = None,
    seed: int = 0,
    steps: Sequence[Step] = (),
    weighting: Weighting | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Progress | None = None,
    stage: str = "train",
) -> None:
    """Train ``model`` in place; the same arguments give the same weights bit by bit.

    ``model.network`` becomes a PEFT wrapper when ``scope`` is LoRA. Every step sees ``budget.batch`` forget
    sequences and as many retain sequences (fewer where a side is smaller). With ``weighting`` a forget sequence
    is drawn as often as its weight says; weights that are all 1 give the same bits as none.
    """
    uses_retain = "retain" in objective.needs and budget.retain_weight != 0 and bool(retain)
    uses_forget = budget.forget_weight != 0 and bool(forget)
    if not uses_retain and not uses_forget:
        raise ValueError(
            f"nothing to train on: {len(forget)} forget, {len(retain)} retain sequences, {budget}"
        )
    context = Context(model, forget, retain, seed)
    needs = services(objective.needs, forget=uses_forget, retain=uses_retain)
    context.prepare(needs, keep_reference=True)
    (scope or Scope()).apply(model, seed=seed)
    parameters = [p for p in model.network.parameters() if p.requires_grad]
    adamw = torch.optim.AdamW(parameters, lr=budget.lr, weight_decay=budget.weight_decay, fused=True)
    weigh = partial(_weights, weighting, context, budget.steps) if weighting else None
    size = min(budget.batch, len(forget)) if uses_forget else budget.batch
    sides = _Sides(
        objective,
        budget,
        stream(forget, size, generator(seed, "forget order"), weigh, generator(seed, "forget weights"))
        if uses_forget
        else None,
        stream(retain, min(size, len(retain)), generator(seed, "retain order")) if uses_retain else None,
        tuple(steps),
    )
    rates = [(adamw, budget.lr_at)]
    _loop(
        context,
        sides,
        rates,
        budget.steps,
        budget.clip,
        callbacks,
        progress or NullProgress(),
        stage,
    )


def fit(
    model: LanguageModel,
    examples: Sequence[Example],
    *,
    optimizer: str = "muon",
    epochs: float = 8,
    batch: int = 32,
    lr: float = 3e-3,
    muon_lr: float = 0.02,
    warmup: float = 0.05,
    clip: float = 1.0,
    seed: int = 0,
    objective: Objective | None = None,
    others: Sequence[Example] = (),
    others_weight: float = 0.0,
    progress: Progress | None = None,
    stage: str = "fit",
) -> None:
    """Fine-tune every weight on ``examples`` in place: ``muon`` (AdamW for embeddings, norms) or ``adamw``.

    The rate rises over ``warmup`` of the steps and falls as a cosine. Muon (Jordan 2024) memorises a small
    corpus in about a fifth of AdamW's epochs. ``objective`` (default: NLL) has ``examples`` on its forget side and
    ``others`` on its retain side, as many in a step, with ``others_weight``.
    """
    model.network.requires_grad_(True)
    parameters = list(model.network.parameters())
    batch = min(batch, len(examples))  # or few sequences would be passed over less often than ``epochs`` says
    steps = math.ceil(len(examples) * epochs / batch)
    peaks = _optimizers(model, parameters, optimizer, lr, muon_lr)
    rates = [(chosen, _cosine(peak, steps, warmup)) for chosen, peak in peaks]
    context = Context(model, examples, others, seed)
    sides = _Sides(
        objective or NLL(),
        Budget(forget_weight=1.0, retain_weight=others_weight),
        stream(examples, batch, generator(seed, "fit order")),
        stream(others, min(batch, len(others)), generator(seed, "fit others")) if others else None,
        (),
    )
    _loop(context, sides, rates, steps, clip, (), progress or NullProgress(), stage)


@dataclass
class _Sides:
    """Where each step's sequences come from; a stream is None when its term has weight zero."""

    objective: Objective
    budget: Budget
    forget: Iterator[list[Example]] | None
    retain: Iterator[list[Example]] | None
    steps: tuple[Step, ...]

    @property
    def apart(self) -> bool:
        """Whether a transform asks for the two sides' gradients apart."""
        return any(isinstance(step, GradientStep) for step in self.steps)

    @property
    def corrects(self) -> bool:
        """Whether a transform corrects what the optimizer did."""
        return any(isinstance(step, UpdateStep) for step in self.steps)

    def term(self, context: Context, side: Side, batch: Batch) -> Tensor:
        """Return a side's weighted term on a batch, shape ()."""
        if side == "forget":
            return self.budget.forget_weight * self.objective.forget_term(context, batch)
        return self.budget.retain_weight * self.objective.retain_term(context, batch)


def _loop(
    context: Context,
    sides: _Sides,
    rates: Sequence[tuple[Any, Callable[[int], float]]],
    steps: int,
    clip: float,
    callbacks: Sequence[Callback],
    progress: Progress,
    stage: str,
) -> None:
    weights = {name: p for name, p in context.model.network.named_parameters() if p.requires_grad}
    context.steps = steps
    update = Update(context, weights, rates[0][0], lambda side, batch: sides.term(context, side, batch))
    for transform in sides.steps:
        if isinstance(transform, PreparedStep):
            transform.prepare(update)
    progress.start(stage, steps)
    for step in range(steps):
        forget, retain = (next(side) if side else None for side in (sides.forget, sides.retain))
        context.begin(step, forget, retain, shared=not sides.apart)
        before = [w.detach().clone() for w in weights.values()] if sides.corrects else []
        with recomputed(context.model):
            _backward(update, sides)
        if clip:
            torch.nn.utils.clip_grad_norm_(weights.values(), clip)
        for optimizer, rate in rates:
            for group in optimizer.param_groups:
                group["lr"] = rate(step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        _correct(update, before, sides.steps)
        context.end()
        progress.advance(stage)
        if any([callback.after_step(context) for callback in callbacks]):
            break
    context.model.network.requires_grad_(False)
    progress.finish(stage)


def _backward(update: Update, sides: _Sides) -> None:
    """Leave the gradients of the weighted terms, transformed where a step asks for it, in the weights."""
    context = update.context
    if not sides.apart:
        batches: list[tuple[Side, Batch | None]] = [("forget", context.forget), ("retain", context.retain)]
        terms = [sides.term(context, side, batch) for side, batch in batches if batch is not None]
        torch.stack(terms).sum().backward()
        return
    update.reached.clear()
    forget, retain = update.gradient("forget"), update.gradient("retain")
    for step in sides.steps:
        if isinstance(step, GradientStep):
            forget, retain = step.transform(update, forget, retain)
    for (name, weight), f, r in zip(update.weights.items(), forget, retain, strict=True):
        total = f + r
        weight.grad = total if name in update.reached or bool(total.any()) else None


def _correct(update: Update, before: Sequence[Any], steps: Sequence[Step]) -> None:
    """Let the steps correct what has become of the weights since ``before``, which is empty where none does."""
    weights = list(update.weights.values())
    with torch.no_grad():
        proposed = [w - b for w, b in zip(weights, before, strict=False)]
        change = proposed
        for step in steps:
            if isinstance(step, UpdateStep):
                change = step.correct(update, change)
        for weight, start, wanted, given in zip(weights, before, change, proposed, strict=False):
            if wanted is not given:
                weight.copy_(start + wanted)


def _weights(weighting: Weighting, context: Context, steps: int, step: int) -> np.ndarray:
    weights = np.asarray(weighting.weights(context, step / steps), dtype=np.float64)
    count = len(context.forget_examples)
    if weights.shape != (count,) or not (weights >= 0).all() or abs(weights.mean() - 1) > 1e-6:
        raise ValueError(f"{weighting} must give {count} weights >= 0 of mean 1, gave {weights}")
    return weights


def _optimizers(
    model: LanguageModel, parameters: list[Any], optimizer: str, lr: float, muon_lr: float
) -> list[tuple[Any, float]]:
    if optimizer == "adamw":
        return [(torch.optim.AdamW(parameters, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True), lr)]
    if optimizer != "muon":
        raise ValueError(f"optimizer must be 'muon' or 'adamw', got {optimizer!r}")
    hidden = {id(p) for name, p in model.network.named_parameters() if p.ndim == 2 and "embed" not in name}
    hidden -= {
        id(model.network.get_input_embeddings().weight),
        id(model.network.get_output_embeddings().weight),
    }
    matrices = [p for p in parameters if id(p) in hidden]
    rest = [p for p in parameters if id(p) not in hidden]
    return [
        # Three Newton-Schulz steps memorise as well as the customary five and save a fifth of the time.
        (torch.optim.Muon(matrices, lr=muon_lr, momentum=0.95, weight_decay=0.0, ns_steps=3), muon_lr),
        (torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True), lr),
    ]


def _cosine(peak: float, steps: int, warmup: float) -> Callable[[int], float]:
    rising = max(1, round(warmup * steps))

    def rate(step: int) -> float:
        if step < rising:
            return peak * (step + 1) / rising
        return peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

    return rate
