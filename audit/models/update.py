"""One update of the weights, as the step transforms see it.

A transform works at one of two places, or at both: on the gradients of the two terms before the optimizer
(``GradientStep``), and on the change of the weights that the optimizer proposes (``UpdateStep``). What has to
hold for the weights themselves, a mask or a projection, belongs to the second place: AdamW's momentum and its
scaling undo it at the first. One that has to see the starting weights is a ``PreparedStep`` besides.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from audit.core.lazy import lazy
from audit.models.batches import Example
from audit.models.context import Context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

Side = Literal["forget", "retain"]


@dataclass(frozen=True)
class Update:
    """A step in the making.

    Attributes
    ----------
    context: the run; ``context.remember`` keeps what a transform needs from step to step.
    weights: name -> the weights that may move, in the order of all lists of tensors here.
    optimizer: AdamW, with its moments in ``optimizer.state``.
    term: the weighted term of a side on a batch; ValueError for a side that has none.
    reached: names of the weights that some gradient of this step has reached; a zero is no gradient to AdamW, whose
        decay and momentum leave out the weights that have none.

    """

    context: Context
    weights: Mapping[str, Any]
    optimizer: Any
    term: Callable[[Side, Any], Tensor]
    reached: set[str] = field(default_factory=set)

    def gradient(self, side: Side, examples: Sequence[Example] | None = None) -> list[Tensor]:
        """Return the gradient of a side's weighted term at the weights as they are now.

        Of this step's batch, or of ``examples``; zeros where the step has no batch of that side.
        """
        batch = getattr(self.context, side) if examples is None else self.context.batch(examples)
        if batch is None:
            return [torch.zeros_like(weight) for weight in self.weights.values()]
        return self.gradient_of(lambda: self.term(side, batch))

    def gradient_of(self, value: Callable[[], Tensor]) -> list[Tensor]:
        """Return the gradient of a value of shape () at the weights as they are now."""
        weights = list(self.weights.values())
        found = torch.autograd.grad(value(), weights, allow_unused=True)
        self.context.end()  # what was computed on the way belongs to these weights
        self.reached.update(name for name, g in zip(self.weights, found, strict=True) if g is not None)
        return [torch.zeros_like(w) if g is None else g for g, w in zip(found, weights, strict=True)]


@runtime_checkable
class GradientStep(Protocol):
    """Changes the gradients; forget and retain are then computed apart."""

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return both sides' gradients; the optimizer gets their sum. The given tensors stay as they are.

        A transform that owns an inner loop may leave the weights elsewhere: the optimizer goes on from there.
        """
        ...


@runtime_checkable
class UpdateStep(Protocol):
    """Changes what the optimizer proposes."""

    def correct(self, update: Update, proposed: list[Tensor]) -> list[Tensor]:
        """Return the change of every weight over the step, given the proposed; ``update.weights`` have moved.

        A tensor handed back as it came leaves its weight bit-identical to the optimizer's.
        """
        ...


@runtime_checkable
class PreparedStep(Protocol):
    """Looks at the starting model once."""

    def prepare(self, update: Update) -> None:
        """Called before the first step, inside the scope already; ``context.remember`` keeps what was found."""
        ...


Step = GradientStep | UpdateStep


@contextlib.contextmanager
def elsewhere(update: Update, shift: Sequence[Tensor] = ()) -> Iterator[None]:
    """Let the weights be off by ``shift``, or go where they like, for a while; they come back bit by bit."""
    weights = list(update.weights.values())
    kept = [weight.detach().clone() for weight in weights]
    try:
        move(update, shift)
        yield
    finally:
        with torch.no_grad():
            for weight, old in zip(weights, kept, strict=True):
                weight.copy_(old)  # adding and subtracting would not give the old bits back


def move(update: Update, by: Sequence[Tensor]) -> None:
    """Add to every weight what ``by`` holds for it; an empty one moves nothing."""
    with torch.no_grad():
        for weight, change in zip(update.weights.values(), by, strict=False):
            weight.add_(change)


def dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> float:
    """Return the inner product of two lists of tensors, summed in float64 over the tensors."""
    return sum(float((a * b).sum()) for a, b in zip(left, right, strict=True))


def plus(left: Sequence[Tensor], scale: float, right: Sequence[Tensor]) -> list[Tensor]:
    """Return left + scale right as new tensors."""
    return [a + scale * b for a, b in zip(left, right, strict=True)]
