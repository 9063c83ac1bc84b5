"""K-FAC: the two second moments that make up a projection's curvature.

Martens, Grosse. ICML 2015, arXiv:1503.05671; tokens count as samples (the "expand" setting of Eschenhagen et al.
NeurIPS 2023, arXiv:2311.00636). For y = W x the curvature of the divergence between old and new answer
distributions, per answer token, is about inputs (x) gradients with

    inputs    = mean over real tokens of x x',
    gradients = sum over real tokens of g g' / number of answer tokens,

g the gradient at y when u is sent back from an answer token's logits z, u = sqrt(p) * e - p <sqrt(p), e> with e of
random signs: E[u u'] = diag(p) - p p' is the divergence's curvature in z. Labels drawn from the model have the
same mean, but for answers known by heart almost every draw says nothing (true labels would not have it at all).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.core.lazy import lazy
from audit.models.batches import Batch, Example, collate, forward_answer_logits
from audit.models.language_model import LanguageModel
from audit.models.layers import hidden_states, linears

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


class Factors(NamedTuple):
    """Second moments of one projection: ``inputs`` (in, in) and ``gradients`` (out, out), float32."""

    inputs: Tensor
    gradients: Tensor


def batches(model: LanguageModel, examples: Sequence[Example], size: int) -> Iterator[Batch]:
    """Yield the examples in order, ``size`` at a time."""
    for start in range(0, len(examples), size):
        part = examples[start : start + size]
        yield collate(part, [model.encode(e.question, e.answer) for e in part], model.device)


def input_moments(model: LanguageModel, data: Iterable[Batch], names: Sequence[str]) -> dict[str, Tensor]:
    """Return name -> mean over real tokens of x x', (in, in), of the named projections (``layers.linears``)."""
    sums: dict[str, Tensor] = {}
    tokens = 0
    for batch in data:
        seen: dict[str, Tensor] = {}
        with torch.no_grad(), watching(model.network, names, lambda n, x, y, seen=seen: seen.update({n: x})):
            hidden_states(model.network, batch.ids)
        tokens += int(batch.mask.sum())
        _add(sums, seen, batch)
    return {name: total / tokens for name, total in sums.items()}


def kfac(
    model: LanguageModel, data: Iterable[Batch], names: Sequence[str], generator: Any
) -> dict[str, Factors]:
    """Return name -> both factors; ``generator`` is a CPU generator that draws the signs."""
    inputs: dict[str, Tensor] = {}
    gradients: dict[str, Tensor] = {}
    tokens = answers = 0
    for batch in data:
        entering: dict[str, Tensor] = {}
        leaving: dict[str, Tensor] = {}

        def see(name: str, x: Tensor, y: Tensor, entering: Any = entering, leaving: Any = leaving) -> None:
            entering[name], leaving[name] = x.detach(), traced(y)

        with watching(model.network, names, see):
            logits = forward_answer_logits(model.network, batch)
        backward = torch.autograd.grad(logits, list(leaving.values()), spread(logits.detach(), generator))
        _add(inputs, entering, batch)
        _add(gradients, dict(zip(leaving, backward, strict=True)), batch)
        tokens += int(batch.mask.sum())
        answers += len(batch.targets)
    return {name: Factors(inputs[name] / tokens, gradients[name] / answers) for name in inputs}


def spread(logits: Tensor, generator: Any) -> Tensor:
    """Return random u of the logits' shape (N, V) with E[u u'] = diag(p) - p p' in every row, p the softmax."""
    p = logits.softmax(-1)
    signs = torch.randint(0, 2, p.shape, generator=generator).to(p) * 2 - 1
    rooted = p.sqrt() * signs
    return rooted - p * rooted.sum(-1, keepdim=True)


def _add(sums: dict[str, Tensor], values: dict[str, Tensor], batch: Batch) -> None:
    """Add the outer products of values (B, T, d) at real tokens to sums (d, d)."""
    for name, value in values.items():
        rows = value[batch.mask].float()  # (tokens, d)
        sums[name] = sums.get(name, 0) + rows.T @ rows


def traced(output: Tensor) -> Tensor:
    """Return the output itself, with a gradient to be had even where no weight before it requires one."""
    return output if output.requires_grad else output.requires_grad_(True)


@contextlib.contextmanager
def watching(
    network: Any, names: Sequence[str], see: Callable[[str, Tensor, Tensor], None]
) -> Iterator[None]:
    """Call ``see(name, input, output)`` in every forward pass of the named projections."""
    wanted = set(names)
    handles = [
        linear.module.register_forward_hook(
            lambda module, args, output, name=linear.name: see(name, args[0], output)
        )
        for linear in linears(network)
        if linear.name in wanted
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
