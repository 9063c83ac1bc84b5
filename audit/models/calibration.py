"""Quantizers that look at the data: what reaches every projection, and rounding block by block on it.

GPTQ (Frantar et al. 2023, arXiv:2210.17323, section 4) calibrates each block on what the rounded blocks before it
hand on; AWQ is run in the same order here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from audit.core.lazy import lazy
from audit.models.awq import awq
from audit.models.gptq import gptq
from audit.models.language_model import LanguageModel
from audit.models.layers import Linear, block_output, blocks, linears
from audit.models.scoring import inference_context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

BATCH = 64  # sequences of one length a forward pass


@dataclass
class Inputs:
    """Moments of what reaches one projection, float64: mean of x xᵀ, shape (in, in), and of |x|, shape (in,)."""

    outer: Tensor
    magnitude: Tensor
    tokens: int = 0

    def add(self, x: Tensor) -> None:
        """Take the inputs of some more tokens, shape (..., in), into the means."""
        rows = x.detach().flatten(0, -2).double()
        self.tokens += len(rows)
        share = len(rows) / self.tokens
        self.outer += share * (rows.T @ rows / len(rows) - self.outer)
        self.magnitude += share * (rows.abs().mean(0) - self.magnitude)


RULES: Mapping[str, Callable[[Tensor, Inputs, int], Tensor]] = MappingProxyType(
    {
        "gptq": lambda weight, seen, group: gptq(weight, seen.outer, group),
        "awq": lambda weight, seen, group: awq(weight, seen.outer, seen.magnitude, group),
    }
)


def quantize_calibrated(
    model: LanguageModel, scheme: str, group: int, sequences: Sequence[Sequence[int]]
) -> None:
    """Round every projection inside the blocks in place, first block first, on ``sequences`` of token ids."""
    if scheme not in RULES:
        raise ValueError(f"scheme must be one of {', '.join(RULES)}, got {scheme!r}")
    for depth, block in enumerate(blocks(model.network)):
        members = {id(module) for module in block.modules()}
        inside = [linear for linear in linears(model.network) if id(linear.module) in members]
        seen = block_inputs(model, depth, inside, sequences)
        with torch.no_grad():
            for linear in inside:
                linear.matrix.copy_(RULES[scheme](linear.matrix, seen[linear.name], group))


def block_inputs(
    model: LanguageModel, depth: int, inside: Sequence[Linear], sequences: Sequence[Sequence[int]]
) -> dict[str, Inputs]:
    """Return name -> moments of the inputs of the projections of block ``depth``; ValueError without sequences."""
    if not sequences:
        raise ValueError("calibration needs at least one sequence, got none")
    seen = {linear.name: _nothing(linear) for linear in inside}
    with torch.no_grad(), inference_context(model), _watched(inside, seen):
        for batch in _batches(sequences):
            block_output(model.network, torch.tensor(batch, device=model.device), depth)
    return seen


def _nothing(linear: Linear) -> Inputs:
    width, device = linear.matrix.shape[1], linear.matrix.device
    zeros = torch.zeros(width, dtype=torch.float64, device=device)
    return Inputs(torch.diag(zeros), zeros.clone())


def _batches(sequences: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    """Yield sequences of one length together, so that none is padded: padding would be calibrated on."""
    for _, same in groupby(sorted(sequences, key=len), key=len):
        chosen = list(same)
        yield from (chosen[first : first + BATCH] for first in range(0, len(chosen), BATCH))


@contextmanager
def _watched(inside: Sequence[Linear], seen: Mapping[str, Inputs]) -> Iterator[None]:
    def watch(name: str) -> Any:
        return lambda _module, inputs: seen[name].add(inputs[0])

    handles = [linear.module.register_forward_pre_hook(watch(linear.name)) for linear in inside]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
