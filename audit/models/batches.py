"""Questions with answers as padded tensors, and the forward passes that only look at answer positions."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.core.lazy import lazy
from audit.models.layers import head, hidden_states
from audit.models.load import Encoded, LanguageModel

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

_LARGE = 5_000_000  # weights from which bfloat16 pays on a CPU that multiplies it


@dataclass(frozen=True)
class Example:
    """One training sequence; ``key`` is unique within a run ("subject/probe/form")."""

    key: str
    question: str
    answer: str


@dataclass(frozen=True, eq=False)  # compared by identity: a batch is the key of its own forward pass
class Batch:
    """B sequences, right-padded to T tokens, with their N answer tokens (EOS included) listed flat.

    ``rows`` and ``positions`` say whose and which hidden state predicts ``targets``; all have shape (N,).
    """

    examples: tuple[Example, ...]
    ids: Tensor  # (B, T)
    mask: Tensor  # (B, T) bool, True at real tokens
    rows: Tensor
    positions: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return self.ids.shape[0]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the sequences, in row order."""
        return tuple(example.key for example in self.examples)


def collate(examples: Sequence[Example], encoded: Sequence[Encoded], device: Any) -> Batch:
    """Return a batch of already encoded examples."""
    longest = max(len(item.ids) for item in encoded)
    ids = torch.zeros(len(encoded), longest, dtype=torch.long)
    mask = torch.zeros(len(encoded), longest, dtype=torch.bool)
    rows, positions, targets = [], [], []
    for row, item in enumerate(encoded):
        ids[row, : len(item.ids)] = torch.tensor(item.ids)
        mask[row, : len(item.ids)] = True
        count = len(item.ids) - item.answer_start
        rows += [row] * count
        positions += range(item.answer_start - 1, len(item.ids) - 1)  # the token before predicts
        targets += item.ids[item.answer_start :]
    flat = [torch.tensor(values, dtype=torch.long).to(device) for values in (rows, positions, targets)]
    return Batch(tuple(examples), ids.to(device), mask.to(device), *flat)


def join(batches: Sequence[Batch]) -> Batch:
    """Return one batch with the sequences of all, so that they share one forward pass."""
    if len(batches) == 1:
        return batches[0]
    longest = max(batch.ids.shape[1] for batch in batches)
    pad = torch.nn.functional.pad
    offsets = [sum(len(b) for b in batches[:i]) for i in range(len(batches))]
    return Batch(
        tuple(example for batch in batches for example in batch.examples),
        torch.cat([pad(b.ids, (0, longest - b.ids.shape[1])) for b in batches]),
        torch.cat([pad(b.mask, (0, longest - b.mask.shape[1])) for b in batches]),
        torch.cat([b.rows + offset for b, offset in zip(batches, offsets, strict=True)]),
        torch.cat([b.positions for b in batches]),
        torch.cat([b.targets for b in batches]),
    )


def forward_answer_logits(network: Any, batch: Batch) -> Tensor:
    """Return float32 logits of the answer tokens, shape (N, V); lm_head runs at answer positions only."""
    hidden = hidden_states(network, batch.ids)  # (B, T, H)
    return head(network, hidden[batch.rows, batch.positions])


def nll_by_row(logits: Tensor, batch: Batch) -> Tensor:
    """Return the summed negative log-likelihood of each sequence's answer, shape (B,), nats."""
    return sum_by_row(torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none"), batch)


def sum_by_row(values: Tensor, batch: Batch) -> Tensor:
    """Return the sum of one value per answer token, shape (N,), over each sequence, shape (B,)."""
    zeros = torch.zeros(len(batch), dtype=values.dtype, device=values.device)
    return zeros.index_add(0, batch.rows, values)


def by_row(values: Tensor, batch: Batch) -> list[Tensor]:
    """Return the values of each sequence's answer tokens: shape (N, ...) becomes B times (tokens, ...)."""
    return list(values.split(torch.bincount(batch.rows, minlength=len(batch)).tolist()))


def autocast(model: LanguageModel) -> Any:
    """Return the context in which training forwards run: bfloat16 where it pays, else nothing."""
    dtype = autocast_dtype(model)
    return torch.autocast(model.device.type, dtype) if dtype else contextlib.nullcontext()


def autocast_dtype(model: LanguageModel) -> Any:
    """Return bfloat16 on CUDA, and for more than 5 M weights on a CPU that multiplies it; else None."""
    if model.device.type == "cuda":
        return torch.bfloat16
    pays = model.device.type == "cpu" and model.parameters_count > _LARGE and cpu_multiplies_bfloat16()
    return torch.bfloat16 if pays else None


@cache
def cpu_multiplies_bfloat16() -> bool:
    """Return whether the CPU has bfloat16 products: AMX, or AVX512 (measured 1.4 times float32 on Zen 4)."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
