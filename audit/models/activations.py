"""What the blocks hold: hidden states after every block, and what the model's own head reads in them.

The logit lens (nostalgebraist 2020, "interpreting GPT: the logit lens") applies the final norm and the output
head to a block's output. The norm is the last one beside the list of blocks (``model.norm``,
``transformer.ln_f``, ``gpt_neox.final_layer_norm``); that it is the right one is checked in every pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.data.records import Probe
from audit.models.batches import Batch, Example, collate
from audit.models.language_model import Encoded, LanguageModel
from audit.models.layers import blocks, head, hidden_states, inner
from audit.models.scoring import BATCH_TOKENS, buckets, inference_context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@dataclass(frozen=True)
class Lens:
    """What can be read of one answer of T tokens after each of L blocks, the last of which is the model itself.

    ``logp``: (L, T) float64, nats. ``greedy``: (L, T) bool, whether the token is the arg max there.
    """

    logp: np.ndarray
    greedy: np.ndarray


def final_norm(network: Any) -> Any:
    """Return the module between the last block and the head; E361 where there is none beside the blocks."""
    stack = blocks(network)
    parents = (m for m in inner(network).modules() if any(child is stack for child in m.children()))
    found = [child for child in next(parents).children() if "norm" in type(child).__name__.lower()]
    if not found:
        raise _unreadable(network, "no norm stands beside the blocks")
    return found[-1]


def lens(model: LanguageModel, probes: Sequence[Probe], batch_tokens: int | None = None) -> list[Lens]:
    """Return what each block tells of every probe's answer, in order, EOS left out; question and answer are given."""
    found: dict[int, Lens] = {}
    for chosen, batch in answer_batches(model, probes, batch_tokens):
        logp, greedy = _read(model, batch)
        sizes = torch.bincount(batch.rows, minlength=len(batch)).cumsum(0)[:-1].tolist()
        parts = zip(np.split(logp, sizes, axis=1), np.split(greedy, sizes, axis=1), strict=True)
        found |= dict(zip(chosen, (Lens(*part) for part in parts), strict=True))
    return [found[index] for index in range(len(probes))]


def question_states(
    model: LanguageModel, probes: Sequence[Probe], batch_tokens: int | None = None
) -> np.ndarray:
    """Return (L, n, H) float64: each block's output at the last token of every question, where the answer starts."""
    found: dict[int, np.ndarray] = {}
    for chosen, batch in answer_batches(model, probes, batch_tokens):
        first = torch.tensor(np.unique(batch.rows.cpu().numpy(), return_index=True)[1]).to(batch.rows.device)
        states, _ = block_states(model, batch, batch.rows[first], batch.positions[first])
        stacked = torch.stack(states).double().cpu().numpy()
        found |= {index: stacked[:, place] for place, index in enumerate(chosen)}
    return np.stack([found[index] for index in range(len(probes))], axis=1)


def answer_batches(
    model: LanguageModel, probes: Sequence[Probe], batch_tokens: int | None
) -> Iterator[tuple[list[int], Batch]]:
    """Yield (indices of probes, their batch), answers without EOS; every probe is in one batch."""
    encoded = [model.encode(probe.question, probe.answer) for probe in probes]
    bare = [Encoded(item.ids[: len(item.ids) - item.eos], item.answer_start, False) for item in encoded]
    limit = batch_tokens or BATCH_TOKENS[model.device.type]
    for chosen in buckets([len(item.ids) for item in bare], limit):
        yield chosen, collate([Example("", "", "")] * len(chosen), [bare[i] for i in chosen], model.device)


def _read(model: LanguageModel, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return (L, N) log-probabilities and arg max hits of a batch's answer tokens, block by block."""
    states, last = block_states(model, batch, batch.rows, batch.positions)
    norm = final_norm(model.network)
    logps, hits = [], []
    with torch.inference_mode(), inference_context(model):
        _check(model.network, norm(states[-1]), last)
        for state in states:
            logits = head(model.network, norm(state))  # (N, V), one block at a time
            logps.append(logits.log_softmax(-1).gather(1, batch.targets[:, None])[:, 0])
            hits.append(logits.argmax(-1) == batch.targets)
    return torch.stack(logps).double().cpu().numpy(), torch.stack(hits).cpu().numpy()


def block_states(
    model: LanguageModel, batch: Batch, rows: Tensor, positions: Tensor
) -> tuple[list[Tensor], Tensor]:
    """Return every block's output, L times (N, H), and the final hidden states (N, H), at the given positions."""
    with torch.inference_mode(), inference_context(model), _recorded(model.network, rows, positions) as kept:
        last = hidden_states(model.network, batch.ids)[rows, positions]
    return kept, last


@contextmanager
def _recorded(network: Any, rows: Tensor, positions: Tensor) -> Iterator[list[Tensor]]:
    kept: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        kept.append((output[0] if isinstance(output, tuple) else output)[rows, positions])

    handles = [block.register_forward_hook(keep) for block in blocks(network)]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _check(network: Any, normed: Tensor, last: Tensor) -> None:
    difference = float((normed - last).abs().max())
    tolerance = 1e-4 if last.dtype == torch.float32 else 3e-2  # bfloat16 keeps 8 bits
    if not difference <= tolerance * (1 + float(last.abs().max())):
        raise _unreadable(network, f"the norm beside the blocks misses the final states by {difference:.3g}")


def _unreadable(network: Any, cause: str) -> AuditError:
    name = type(inner(network)).__name__
    return AuditError(
        "E361", f"the layers of {name} cannot be read: {cause}", "leave out the metrics of layers"
    )
