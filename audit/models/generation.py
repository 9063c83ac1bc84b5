"""Batched decoding with a key-value cache: greedy, or sampling.

Prompts are padded on the left. Rows that have ended leave the batch, so one long answer does not hold up the
rest. Greedy decoding repeats a reference answer up to the first token that is not the arg max there: what a pass over
that answer has shown is taken over (as drafts are in speculative decoding, Leviathan et al. 2023, arXiv:2211.17192),
and a memorised answer needs no decoding at all. A sampled answer depends on the seed, its question and its number
alone, whoever else is asked: so the loss of a person is a fixed number, as statistics on a finite list need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.core.lazy import lazy
from audit.core.seeds import generator
from audit.models.caches import Beginning, inference_context, shared_beginning
from audit.models.language_model import LanguageModel
from audit.models.layers import body, head, inner

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

ROWS = {"cpu": 64, "cuda": 512}  # sequences decoded at once
_FULL = (
    0.75  # ended rows leave once no more than this share goes on: leaving copies the others' keys and values
)


@dataclass(frozen=True)
class Decoding:
    """How answers are decoded: greedy at temperature 0, else ``samples`` draws per question.

    ``top_p``: sampling keeps the most likely tokens that reach this probability together, in (0, 1].
    """

    max_new_tokens: int = 32
    temperature: float = 0.0
    samples: int = 1
    seed: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.samples < 1 or self.temperature < 0:
            raise ValueError(f"decoding needs tokens and samples >= 1 and temperature >= 0, got {self}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")


def generate(
    model: LanguageModel,
    questions: Sequence[str],
    decoding: Decoding,
    known: Sequence[Sequence[int]] | None = None,
) -> list[list[str]]:
    """Return ``decoding.samples`` answers per question, in order; EOS or a line break ends an answer.

    ``known``: the tokens with which each question's greedy answer begins, as far as a pass over the reference answer
    has shown them already, ended by the token that ends it where that is known too. They are not decoded again.
    ValueError with sampling.
    """
    if known is not None and decoding.temperature > 0:
        raise ValueError(f"only greedy answers have a known beginning, got {decoding}")
    prompts, ends = [model.encode_prompt(question) for question in questions], _ends(model)
    answers = [
        _begun(model, prompt, known[i] if known else (), ends, decoding, number)
        for i, prompt in enumerate(prompts)
        for number in range(decoding.samples)
    ]
    rest = sorted((answer for answer in answers if not answer.done), key=lambda answer: len(answer.read))
    with torch.inference_mode(), inference_context(model):
        beginning = shared_beginning(model, [answer.prompt for answer in rest])
        for start in range(0, len(rest), ROWS[model.device.type]):
            _decode(model, rest[start : start + ROWS[model.device.type]], decoding, ends, beginning)
    texts = [_first_line(model.tokenizer.decode(a.tokens, skip_special_tokens=True)) for a in answers]
    return [texts[i : i + decoding.samples] for i in range(0, len(texts), decoding.samples)]


@dataclass
class _Answer:
    """An answer in the making: its tokens so far, without the one that ends it, of ``budget`` at most."""

    prompt: tuple[int, ...]
    tokens: list[int]
    budget: int
    done: bool
    dice: np.ndarray  # (max_new_tokens,), uniform

    @property
    def read(self) -> tuple[int, ...]:
        """What the next token follows."""
        return (*self.prompt, *self.tokens)

    def add(self, token: int, ends: AbstractSet[int]) -> None:
        """Take the next token, unless the answer is done."""
        if self.done:
            return
        if token not in ends:
            self.tokens.append(token)
        self.done = token in ends or len(self.tokens) == self.budget


def _begun(
    model: LanguageModel,
    prompt: tuple[int, ...],
    known: Sequence[int],
    ends: AbstractSet[int],
    decoding: Decoding,
    number: int,
) -> _Answer:
    budget = min(decoding.max_new_tokens, _room(model, len(prompt)))
    answer = _Answer(prompt, [], budget, False, _dice(prompt, number, decoding))
    for token in known:
        answer.add(int(token), ends)
    return answer


def _decode(
    model: LanguageModel,
    rows: list[_Answer],
    decoding: Decoding,
    ends: AbstractSet[int],
    beginning: Beginning,
) -> None:
    """Bring answers to their ends, together."""
    ids, own = _left_padded([answer.read[beginning.tokens :] for answer in rows], model.device)
    mask = torch.cat([own.new_ones(len(rows), beginning.tokens), own], 1)
    cache = beginning.cache(model.network, len(rows))
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, beginning.tokens :]
    while True:
        state = body(model.network)(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        logits = head(model.network, state.last_hidden_state[:, -1])
        chances = [answer.dice[min(len(answer.tokens), answer.budget - 1)] for answer in rows]
        token = _choose(logits, decoding, torch.tensor(np.array(chances), device=model.device))  # (B,)
        for answer, value in zip(rows, token.tolist(), strict=True):
            answer.add(value, ends)
        going = [row for row, answer in enumerate(rows) if not answer.done]
        if not going:
            return
        if len(going) <= _FULL * len(rows):
            rows = [rows[row] for row in going]
            kept = torch.tensor(going, device=model.device)
            token, mask, positions = token[kept], mask[kept], positions[kept]
            cache.batch_select_indices(kept)
        ids = token[:, None]
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
        positions = positions[:, -1:] + 1


def _dice(prompt: tuple[int, ...], number: int, decoding: Decoding) -> np.ndarray:
    """Return uniform numbers, one for each new token of the ``number``-th answer to a prompt."""
    if decoding.temperature == 0:
        return np.zeros(decoding.max_new_tokens)
    return generator(decoding.seed, "sample", number, *prompt).random(decoding.max_new_tokens)


def _choose(logits: Tensor, decoding: Decoding, chances: Tensor) -> Tensor:
    """Return (B,) tokens from logits (B, V): the arg max, or the one at which the cumulated probability passes."""
    if decoding.temperature == 0:
        return logits.argmax(-1)
    sorted_logits, tokens = (logits.double() / decoding.temperature).sort(
        dim=-1, descending=True, stable=True
    )
    probabilities = sorted_logits.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    kept = torch.where(before < decoding.top_p, probabilities, 0.0).cumsum(-1)
    place = torch.searchsorted(kept, (chances * kept[:, -1])[:, None], right=True).clamp(
        max=kept.shape[1] - 1
    )
    return tokens.gather(1, place)[:, 0]


def _left_padded(prompts: Sequence[tuple[int, ...]], device: Any) -> tuple[Tensor, Tensor]:
    longest = max(map(len, prompts))
    ids = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _ends(model: LanguageModel) -> AbstractSet[int]:
    """Return the tokens that end an answer: EOS by tokenizer and generation settings, and line breaks."""
    config = getattr(inner(model.network), "generation_config", None)
    named = getattr(config, "eos_token_id", None)
    ends = set(named if isinstance(named, list | tuple) else [named]) | {model.tokenizer.eos_token_id}
    for text in ("\n", "\n\n"):
        tokens = model.tokenizer(text, add_special_tokens=False)["input_ids"]
        ends |= set(tokens) if len(tokens) == 1 else set()
    return {end for end in ends if end is not None}


def _room(model: LanguageModel, used: int) -> int:
    limit = getattr(inner(model.network).config.get_text_config(), "max_position_embeddings", None)
    return max(1, limit - used) if limit else 1 << 30


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0].strip()
