"""Greedy coordinate gradient: a suffix of tokens that makes given answers likelier, one swap a step.

Zou et al. 2023, arXiv:2307.15043, algorithm 1 with the sum over several prompts of algorithm 2. The loss is the mean
negative log-likelihood of the answers; its gradient with respect to the one-hot vector of a token, the embedding's
gradient times the embedding matrix, names the promising swaps, and forward passes choose among them. Ours: a swap is
taken only if it lowers the loss and the tokenizer reads the new suffix back as it was meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.models.batches import Batch, Example, autocast, collate, forward_answer_logits, nll_by_row
from audit.models.load import Encoded, LanguageModel
from audit.models.scoring import BATCH_TOKENS, buckets, inference_context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

Ids = tuple[int, ...]
START = "!"


@dataclass(frozen=True)
class Swaps:
    """How many tokens the suffix has, how many swaps a step tries, and of how many tokens a place they are drawn."""

    length: int
    candidates: int
    top: int


def search(
    model: LanguageModel,
    shown: Sequence[Example],
    swaps: Swaps,
    tokens: np.ndarray,
    random: np.random.Generator,
) -> Iterator[str]:
    """Yield the suffix before the first step and after each step, without end.

    ``tokens``: ids of which it may consist, see ``alphabet``. E280 where none of them can stand behind a question.
    """
    at = _start(model, shown, tokens, swaps.length)
    (lowest,) = at.losses([at.suffix])
    while True:
        yield read(model, at.suffix)
        tried = _drawn(at.suffix, at.slopes().cpu().numpy()[:, tokens], swaps, tokens, random)
        tried = _read_back(model, tried)
        found = at.losses(tried)
        for i in np.argsort(found, kind="stable"):
            better = Placed.of(model, shown, tried[i]) if found[i] < lowest else None
            if better is not None:
                at, lowest = better, found[i]
                break


def behind(question: str, suffix: str) -> str:
    """Return the question with the suffix behind it."""
    return f"{question} {suffix}"


def read(model: LanguageModel, ids: Ids) -> str:
    """Return the suffix as text."""
    return model.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False).strip()


def alphabet(model: LanguageModel) -> np.ndarray:
    """Return the ids of tokens that read as printable ASCII on one line, special ones left out."""
    special = set(model.tokenizer.all_special_ids)
    texts = model.tokenizer.batch_decode([[i] for i in range(len(model.tokenizer))])
    fine = (text.strip() and text.isascii() and text.isprintable() for text in texts)
    return np.array([i for i, good in enumerate(fine) if good and i not in special], dtype=np.int64)


@dataclass(frozen=True)
class Placed:
    """A suffix behind several questions: their sequences without end token, and where in each of them it begins."""

    model: LanguageModel
    suffix: Ids
    encoded: tuple[Encoded, ...]
    firsts: tuple[int, ...]

    @classmethod
    def of(cls, model: LanguageModel, shown: Sequence[Example], suffix: Ids) -> Placed | None:
        """Return None where some question does not fit with it or the tokenizer reads it otherwise there."""
        text = read(model, suffix)
        if not all(model.fits(behind(one.question, text), one.answer) for one in shown):
            return None
        encoded = [_bare(model.encode(behind(one.question, text), one.answer)) for one in shown]
        firsts = [_place(item.ids[: item.answer_start], suffix) for item in encoded]
        kept = tuple(first for first in firsts if first is not None)
        return cls(model, suffix, tuple(encoded), kept) if len(kept) == len(firsts) else None

    def losses(self, others: Sequence[Ids]) -> list[float]:
        """Return the mean of the answers' negative log-likelihoods per token with each of the suffixes in its place."""
        size = len(self.suffix)
        items = [
            Encoded((*item.ids[:first], *ids, *item.ids[first + size :]), item.answer_start, False)
            for ids in others
            for item, first in zip(self.encoded, self.firsts, strict=True)
        ]
        found = np.zeros(len(items))
        for chosen in buckets([len(item.ids) for item in items], BATCH_TOKENS[self.model.device.type]):
            with torch.inference_mode(), inference_context(self.model):
                found[chosen] = _nll_per_token(
                    self.model, _batch(self.model, [items[i] for i in chosen])
                ).cpu()
        return [float(np.mean(part)) for part in found.reshape(len(others), len(self.encoded))]

    def slopes(self) -> Tensor:
        """Return the slope of the loss in every token's one-hot entry at every place of the suffix, shape (L, V)."""
        table = self.model.network.get_input_embeddings().weight.detach().float()  # (V, H)
        gradient = _embedding_gradient(self.model, _batch(self.model, self.encoded)).float()  # (B, T, H)
        size = len(self.suffix)
        rows = [gradient[row, first : first + size] for row, first in enumerate(self.firsts)]
        return torch.stack(rows).sum(0) @ table.T


def _embedding_gradient(model: LanguageModel, batch: Batch) -> Tensor:
    """Return the gradient of the mean loss in what the embedding layer gives; no weight gets one."""
    given: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
        given.append(output.detach().requires_grad_())
        return given[-1]

    hook = model.network.get_input_embeddings().register_forward_hook(keep)
    try:
        with torch.enable_grad(), autocast(model):
            loss = _nll_per_token(model, batch).mean()
        return torch.autograd.grad(loss, given[0])[0]
    finally:
        hook.remove()


def _nll_per_token(model: LanguageModel, batch: Batch) -> Tensor:
    """Return each answer's mean negative log-likelihood per token, shape (B,)."""
    summed = nll_by_row(forward_answer_logits(model.network, batch).float(), batch)
    return summed / torch.bincount(batch.rows, minlength=len(batch))


def _batch(model: LanguageModel, items: Sequence[Encoded]) -> Batch:
    return collate([Example("", "", "")] * len(items), items, model.device)


def _drawn(
    ids: Ids, slopes: np.ndarray, swaps: Swaps, tokens: np.ndarray, random: np.random.Generator
) -> list[Ids]:
    """Return suffixes with one token swapped, drawn among the steepest; ``slopes`` has shape (L, tokens)."""
    steepest = np.argsort(slopes, axis=1, kind="stable")[:, : swaps.top]
    pairs = [(place, int(tokens[i])) for place, row in enumerate(steepest) for i in row.tolist()]
    pairs = [(place, token) for place, token in pairs if token != ids[place]]
    chosen = (pairs[i] for i in random.permutation(len(pairs))[: swaps.candidates])
    return [(*ids[:place], token, *ids[place + 1 :]) for place, token in chosen]


def _read_back(model: LanguageModel, suffixes: Sequence[Ids]) -> list[Ids]:
    """Return the suffixes that the tokenizer, given their text behind a space, takes apart in the same way."""
    if not suffixes:
        return []
    texts = [behind("", read(model, ids)) for ids in suffixes]
    again = model.tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [ids for ids, found in zip(suffixes, again, strict=True) if tuple(found) == ids]


def _start(model: LanguageModel, shown: Sequence[Example], tokens: np.ndarray, length: int) -> Placed:
    """Return exclamation marks, or the first token that can stand ``length`` times behind every question."""
    mark = model.tokenizer(behind("", START), add_special_tokens=False)["input_ids"]
    first = mark if len(mark) == 1 and mark[0] in tokens else []
    for suffix in _read_back(model, [(token,) * length for token in (*first, *tokens.tolist())]):
        placed = Placed.of(model, shown, suffix)
        if placed is not None:
            return placed
    raise AuditError(
        "E280",
        f"no token of the model can stand {length} times behind the questions and fit its context",
        "lower the suffix's length, or leave gcg out for this model",
    )


def _place(sequence: Ids, ids: Ids) -> int | None:
    """Return where ``ids`` stand in ``sequence`` for the last time, or None."""
    starts = range(len(sequence) - len(ids), -1, -1)
    return next((i for i in starts if sequence[i : i + len(ids)] == ids), None)


def _bare(item: Encoded) -> Encoded:
    """Return the sequence without its end token, which scores leave out too."""
    return Encoded(item.ids[: len(item.ids) - item.eos], item.answer_start, False)
