"""Where a model holds what it answers: effects of single parts (attention and MLP of every block) on the answer.

A question is broken, one part's output is set back to what it was for the whole question, and the answer's height
is read: by how much it rises is the part's indirect effect. Three ways to it:

- ``tracing``: causal tracing, Meng et al. 2022, arXiv:2202.05262: noise on the embeddings of the subject's tokens.
- ``patching``: the same question about somebody else is asked instead; exact, a forward for every part.
- ``attribution``: attribution patching, Nanda 2023 and Syed et al. 2023, arXiv:2310.10348: the first-order
  approximation of ``patching`` from two forwards and one backward for all parts together.

Height is the mean over answer tokens of logit less mean logit: linear in the logits, unlike a log-probability,
which hardly moves where an answer is known by heart. Meng et al. read the probability of an answer of one token.
The subject is where the two questions of a pair differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.seeds import derive
from audit.models.batches import Batch, Example, collate, forward_answer_logits, sum_by_row
from audit.models.curvature import traced
from audit.models.language_model import LanguageModel
from audit.models.layers import attention, blocks, mlp
from audit.models.localisation_pairs import Pair
from audit.models.scoring import inference_context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

Kept = dict[str, Any]  # part -> its output, (B, T, H)

NOISE = 3.0  # standard deviations of the subject's embeddings, as Meng et al.
_BATCH = 16


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects of M = 2 L parts on n answers, in logits.

    ``parts``: names, ``3.attention`` and ``3.mlp`` for block 3, in the order of the network. ``values``: (n, M), by
    how much the answer rises when the part is set back. ``total``: (n,) by how much it rises when all is.
    """

    parts: tuple[str, ...]
    values: np.ndarray
    total: np.ndarray

    def largest(self, share: float) -> tuple[str, ...]:
        """Return the ``share`` of parts, rounded up, with the largest mean absolute effect, in network order.

        E292 where no part has any effect.
        """
        size = np.abs(self.values).mean(axis=0)
        if not size.max() > 0:  # NaN too
            raise AuditError(
                "E292", "no part of the model makes a difference to these answers", "name layers instead"
            )
        chosen = np.argsort(-size, kind="stable")[: int(np.ceil(share * len(size) - 1e-9))]
        return tuple(self.parts[index] for index in sorted(chosen))


def parts(network: Any) -> dict[str, Any]:
    """Return name -> module of the attention and the MLP of every block."""
    return {
        f"{place}.{name}": find(block)
        for place, block in enumerate(blocks(network))
        for name, find in (("attention", attention), ("mlp", mlp))
    }


def attribution(model: LanguageModel, given: Sequence[Pair]) -> Effects:
    """Return first-order effects: <output asked - output of the other question, slope of the height there>."""

    def effects(kept: Kept, _asked: Batch, other: Batch, _subject: Tensor) -> tuple[Tensor, list[Tensor]]:
        seen: Kept = {}
        with torch.enable_grad(), _seeing(model.network, lambda name, out: seen.update({name: traced(out)})):
            low = _height(model, other)
        slopes = torch.autograd.grad(low.sum(), [seen[name] for name in kept])
        # Outputs may be bfloat16: a difference of two near ones, times a slope, has no bits to lose.
        return low.detach(), [
            ((wanted.double() - seen[name].detach().double()) * slope.double()).sum((1, 2))
            for (name, wanted), slope in zip(kept.items(), slopes, strict=True)
        ]

    return _effects(model, given, effects)


def patching(model: LanguageModel, given: Sequence[Pair]) -> Effects:
    """Return exact effects: each part in turn gives to the other question what it gave to the asked one."""
    return _effects(model, given, lambda kept, _asked, other, _subject: _set_back(model, kept, other))


def tracing(model: LanguageModel, given: Sequence[Pair], *, noise: float = NOISE, seed: int = 0) -> Effects:
    """Return effects under Gaussian noise on the subjects' embeddings, ``noise`` times their standard deviation.

    A part is set back at all tokens at once. The same seed gives the same noise.
    """
    dice = torch.Generator().manual_seed(derive(seed, "causal tracing"))
    embed = model.network.get_input_embeddings()
    tokens = [pair.asked.ids[place] for pair in given for place in pair.subject]
    with torch.no_grad():
        spread = noise * float(embed(torch.tensor(tokens, device=model.device)).float().std())

    def effects(kept: Kept, asked: Batch, _other: Batch, subject: Tensor) -> tuple[Tensor, list[Tensor]]:
        drawn = spread * torch.randn((*subject.shape, embed.weight.shape[1]), generator=dice)
        added = drawn.to(subject.device) * subject[..., None]
        with _hooked(embed, lambda out: out + added.to(out)):
            return _set_back(model, kept, asked)

    return _effects(model, given, effects)


def _effects(model: LanguageModel, given: Sequence[Pair], effects: Callable[..., Any]) -> Effects:
    """Return what ``effects`` finds: (low (B,), M rises (B,)) of a batch, given what its parts gave when asked."""
    values, total = [], []
    for start in range(0, len(given), _BATCH):
        some = given[start : start + _BATCH]
        asked, other = (
            collate([Example("", "", "")] * len(some), side, model.device)
            for side in ([pair.asked for pair in some], [pair.other for pair in some])
        )
        kept: Kept = {}
        with torch.no_grad(), _seeing(model.network, lambda name, out, kept=kept: kept.update({name: out})):
            high = _height(model, asked)
        ordered = {name: kept[name] for name in parts(model.network)}
        low, rises = effects(ordered, asked, other, asked.ids != other.ids)
        values.append(torch.stack(rises, dim=1).double().cpu().numpy())
        total.append((high - low).double().cpu().numpy())
    return Effects(tuple(parts(model.network)), np.concatenate(values), np.concatenate(total))


def _set_back(model: LanguageModel, kept: Kept, broken: Batch) -> tuple[Tensor, list[Tensor]]:
    """Return the height of the broken question, and by how much it rises with each part set back in turn."""
    rises = []
    with torch.no_grad():
        low = _height(model, broken)
        for name, module in parts(model.network).items():
            with _hooked(module, lambda out, name=name: kept[name]):
                rises.append(_height(model, broken) - low)
    return low, rises


def _height(model: LanguageModel, batch: Batch) -> Tensor:
    """Return (B,) the mean over each answer's tokens of logit less mean logit."""
    with inference_context(model):
        logits = forward_answer_logits(model.network, batch)
    above = logits.gather(1, batch.targets[:, None])[:, 0] - logits.mean(-1)
    return sum_by_row(above, batch) / sum_by_row(torch.ones_like(above), batch)


@contextmanager
def _seeing(network: Any, see: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Call ``see(name, output)`` for every part in each forward pass."""
    with ExitStack() as stack:
        for name, module in parts(network).items():
            stack.enter_context(_hooked(module, lambda out, name=name: see(name, out)))
        yield


@contextmanager
def _hooked(module: Any, change: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """Let ``change`` see the module's output in each forward pass, and replace it where it returns one."""

    def hook(_module: Any, _inputs: Any, output: Any) -> Any:
        alone = not isinstance(output, tuple)
        new = change(output if alone else output[0])
        return new if alone or new is None else (new, *output[1:])

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
