"""Batched decoding with a key-value cache: greedy, or sampling.

Prompts are padded on the left. Rows that have ended leave the batch, so one long answer does not hold up the
rest. A sampled answer depends on the seed, its question and its number alone, whoever else is asked: so the loss
of a person is a fixed number, as statistics on a finite list need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.core.lazy import lazy
from audit.core.seeds import generator
from audit.models.language_model import LanguageModel, compute_dtype
from audit.models.layers import body, head, inner

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
cache_utils = lazy("transformers.cache_utils")

ROWS = {"cpu": 64, "cuda": 512}  # sequences decoded at once


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


def generate(model: LanguageModel, questions: Sequence[str], decoding: Decoding) -> list[list[str]]:
    """Return ``decoding.samples`` answers per question, in order; EOS or a line break ends an answer."""
    prompts = [model.encode_prompt(question) for question in questions]
    repeated = [i for i in range(len(prompts)) for _ in range(decoding.samples)]
    dice = [
        _dice(prompts[i], number, decoding) for i in range(len(prompts)) for number in range(decoding.samples)
    ]
    order = sorted(range(len(repeated)), key=lambda slot: (len(prompts[repeated[slot]]), slot))
    texts = [""] * len(repeated)
    rows = ROWS[model.device.type]
    for start in range(0, len(order), rows):
        slots = order[start : start + rows]
        tokens = _decode(
            model, [prompts[repeated[slot]] for slot in slots], decoding, [dice[slot] for slot in slots]
        )
        for slot, answer in zip(slots, tokens, strict=True):
            texts[slot] = _first_line(model.tokenizer.decode(answer, skip_special_tokens=True))
    return [texts[i : i + decoding.samples] for i in range(0, len(texts), decoding.samples)]


def _decode(
    model: LanguageModel, prompts: Sequence[tuple[int, ...]], decoding: Decoding, dice: Sequence[np.ndarray]
) -> list[list[int]]:
    """Return the new tokens of each prompt, without the one that ended it."""
    ids, mask = _left_padded(prompts, model.device)
    chances = torch.tensor(np.stack(dice), device=model.device)  # (B, max_new_tokens), uniform
    ends = torch.tensor(sorted(_ends(model)), device=model.device)
    budget = min(decoding.max_new_tokens, _room(model, ids.shape[1]))
    answers: list[list[int]] = [[] for _ in prompts]
    alive = torch.arange(len(prompts), device=model.device)
    cache = cache_utils.DynamicCache(config=inner(model.network).config)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    dtype = compute_dtype(model.device)
    with torch.inference_mode(), torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32):
        for place in range(budget):
            state = body(model.network)(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )
            logits = head(model.network, state.last_hidden_state[:, -1])
            token = _choose(logits, decoding, chances[alive, place])  # (B,)
            going = ~torch.isin(token, ends)
            for row, value, goes in zip(alive.tolist(), token.tolist(), going.tolist(), strict=True):
                if goes:
                    answers[row].append(value)
            if not going.any():
                break
            if not going.all():
                alive, token, mask, positions = alive[going], token[going], mask[going], positions[going]
                cache.batch_select_indices(going.nonzero()[:, 0])
            ids = token[:, None]
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
            positions = positions[:, -1:] + 1
    return answers


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


def _ends(model: LanguageModel) -> set[int]:
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
