"""What a request depends on: embeddings, losses, gradients at the input, and blocks it cannot do without."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.models.batches import Batch, Example, autocast, forward_answer_logits, nll_by_row
from audit.models.curvature import batches
from audit.models.language_model import LanguageModel
from audit.models.layers import blocks, hidden_states, inner

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

_BATCH = 32
_CENTRE = 256  # retain sequences whose mean state is taken off


def embeddings(
    model: LanguageModel, forget: Sequence[Example], retain: Sequence[Example]
) -> dict[str, np.ndarray]:
    """Return key -> unit vector (H,): the mean final state of its tokens, less that of retain sequences."""
    centre = np.mean(_states(model, retain[:_CENTRE]), axis=0)
    away = _states(model, forget) - centre
    sizes = np.linalg.norm(away, axis=1, keepdims=True)
    units = np.divide(away, sizes, out=np.zeros_like(away), where=sizes > 0)
    return {example.key: unit for example, unit in zip(forget, units, strict=True)}


def losses(model: LanguageModel, examples: Sequence[Example]) -> dict[str, tuple[float, int]]:
    """Return key -> the answer's negative log-likelihood in nats and its number of tokens, EOS included."""
    found = {}
    for batch in batches(model, examples, _BATCH):
        with torch.no_grad():
            nll = _nll(model, batch).tolist()
        tokens = torch.bincount(batch.rows, minlength=len(batch)).tolist()
        found.update(zip(batch.keys, zip(nll, tokens, strict=True), strict=True))
    return found


def importance(model: LanguageModel, examples: Sequence[Example]) -> np.ndarray:
    """Return each sequence's norm of the gradient of its mean nll per token at its input embeddings, (n,)."""
    found = []
    for batch in batches(model, examples, _BATCH):
        with _embedded(model) as seen:
            per_token = _nll(model, batch) / torch.bincount(batch.rows, minlength=len(batch))
            (gradient,) = torch.autograd.grad(per_token.sum(), seen)  # (B, T, H): rows do not see each other
        found.append(gradient.double().flatten(1).norm(dim=1).cpu().numpy())
    return np.concatenate(found)


def layer_scores(
    model: LanguageModel, examples: Sequence[Example], movable: Iterable[str]
) -> dict[int, float]:
    """Return block -> |mean nll per token without it - with it| of the blocks that hold a movable matrix.

    AuditError E267 where no block does.
    """
    names = frozenset(movable)
    candidates = [block for block in range(len(blocks(model.network))) if matrices(model, [block]) & names]
    if not candidates:
        raise AuditError("E267", "the scope holds no matrix inside the blocks", "name blocks, @layers(0:2)")
    whole = _mean_loss(model, examples)
    scores = {}
    for block in candidates:
        with skipped(model.network, block):
            scores[block] = abs(_mean_loss(model, examples) - whole)
    return scores


def highest(scores: Mapping[int, float], share: float) -> list[int]:
    """Return the blocks of the highest scores, a share of them, rounded up."""
    order = sorted(scores, key=lambda block: (-scores[block], block))
    return sorted(order[: math.ceil(share * len(scores) - 1e-9)])  # .1 of 30 is 3


def matrices(model: LanguageModel, chosen: Iterable[int]) -> frozenset[str]:
    """Return the names of the blocks' matrices, those of attention, feed-forward and their adapters."""
    stack = blocks(model.network)
    ours = {id(weight) for block in chosen for weight in stack[block].parameters() if weight.ndim > 1}
    return frozenset(name for name, weight in model.network.named_parameters() if id(weight) in ours)


@contextlib.contextmanager
def skipped(network: Any, block: int) -> Iterator[None]:
    """Let a block pass its input on as it came."""

    def passed(_module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        given = args[0] if args else kwargs["hidden_states"]
        return (given, *output[1:]) if isinstance(output, tuple) else given

    handle = blocks(network)[block].register_forward_hook(passed, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def _embedded(model: LanguageModel) -> Iterator[list[Tensor]]:
    """Make the input embeddings the leaves of the graph; they are listed as they are computed."""
    seen: list[Tensor] = []

    def leaf(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
        seen.append(output.detach().requires_grad_())
        return seen[-1]

    handle = inner(model.network).get_input_embeddings().register_forward_hook(leaf)
    try:
        yield seen
    finally:
        handle.remove()


def _states(model: LanguageModel, examples: Sequence[Example]) -> np.ndarray:
    found = []
    for batch in batches(model, examples, _BATCH):
        with torch.no_grad(), autocast(model):
            states = hidden_states(model.network, batch.ids).double()  # (B, T, H)
        mask = batch.mask[:, :, None]
        found.append(((states * mask).sum(1) / mask.sum(1)).cpu().numpy())
    return np.concatenate(found)


def _mean_loss(model: LanguageModel, examples: Sequence[Example]) -> float:
    found = losses(model, examples).values()
    return sum(nll for nll, _ in found) / sum(tokens for _, tokens in found)


def _nll(model: LanguageModel, batch: Batch) -> Tensor:
    with autocast(model):
        return nll_by_row(forward_answer_logits(model.network, batch), batch)
