"""Key-value caches: one that grows in place, and the beginning that all prompts share, read once.

A chat prompt opens with the same system text every time, and solved examples in front of a question are the same for
all questions: two thirds of TOFU's prompt tokens. Their keys and values are computed once and lent to every
sequence; values change by rounding only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from audit.core.lazy import lazy
from audit.models.language_model import LanguageModel, compute_dtype
from audit.models.layers import body, hidden_states, inner

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
cache_utils = lazy("transformers.cache_utils")

SHORTEST = 16  # shorter beginnings are not worth a pass of their own
FEWEST = 8  # prompts
SPARE = 64  # places for new tokens that a growing layer sets aside at a time
_TRIAL = 1e-3  # largest difference of hidden states that rounding explains, relative to their size


def inference_context(model: LanguageModel) -> Any:
    """Return the autocast context of forwards without training: bfloat16 on CUDA, float32 elsewhere."""
    dtype = compute_dtype(model.device)
    return torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32)


def new_cache(network: Any) -> Any:
    """Return an empty cache for ``network`` whose layers of full attention grow in place."""
    made = cache_utils.DynamicCache(config=inner(network).config)
    made.layers = [_growing()() if _full(layer) else layer for layer in made.layers]
    return made


@dataclass(frozen=True)
class Beginning:
    """The first ``tokens`` of every sequence, with keys and values of shape (1, heads, tokens, d) by layer."""

    tokens: int = 0
    states: tuple[tuple[Tensor, Tensor], ...] = ()

    def cache(self, network: Any, rows: int) -> Any:
        """Return a new cache for ``rows`` sequences that have read the beginning."""
        made = new_cache(network)
        for index, pair in enumerate(self.states):
            made.update(*(state.expand(rows, -1, -1, -1) for state in pair), index)
        return made


NOTHING = Beginning()


def shared_beginning(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> Beginning:
    """Return the tokens with which all ``prompts`` begin, read once; empty where that is not worth it.

    At least one token of every prompt is left over. Empty, too, where a network gives tokens behind a cache other
    states than in one piece (short windows, state spaces), which a trial of one prompt shows.
    """
    common = _common(prompts)
    if common < SHORTEST or len(prompts) < FEWEST:
        return NOTHING
    with torch.inference_mode(), inference_context(model):
        return _read(model, tuple(prompts[0]), common)


def _read(model: LanguageModel, prompt: tuple[int, ...], common: int) -> Beginning:
    network = model.network
    empty = new_cache(network)
    if not empty.layers or not all(isinstance(layer, _growing()) for layer in empty.layers):
        return NOTHING
    ids = torch.tensor([prompt], device=model.device)
    body(network)(input_ids=ids[:, :common], past_key_values=empty, use_cache=True)
    found = Beginning(common, tuple((layer.keys, layer.values) for layer in empty.layers))
    return found if _holds(model, found, ids) else NOTHING


def states_after(beginning: Beginning, network: Any, ids: Tensor) -> Tensor:
    """Return the final hidden states, (B, T - tokens, H), of right-padded ids (B, T) behind their shared beginning."""
    if not beginning.tokens:
        return hidden_states(network, ids)
    past = beginning.cache(network, len(ids))
    behind = ids[:, beginning.tokens :]
    return body(network)(input_ids=behind, past_key_values=past, use_cache=True).last_hidden_state


def _holds(model: LanguageModel, found: Beginning, ids: Tensor) -> bool:
    states = states_after(found, model.network, ids)
    whole = hidden_states(model.network, ids)[:, found.tokens :]
    difference = (states - whole).float().abs().max()
    scale = 1e-2 if model.device.type == "cuda" else _TRIAL  # bfloat16 rounds a hundred times as coarsely
    return bool(difference <= scale * (1 + whole.float().abs().max()))


def _common(prompts: Sequence[Sequence[int]]) -> int:
    if not prompts:
        return 0
    ordered = sorted(tuple(prompt) for prompt in prompts)
    low, high = ordered[0], ordered[-1]  # in lexical order: what these share, all share
    limit = min(map(len, prompts)) - 1
    return next((i for i in range(limit) if low[i] != high[i]), limit)


def _full(layer: Any) -> bool:
    return type(layer) is cache_utils.DynamicLayer


@cache
def _growing() -> type:
    class GrowingLayer(cache_utils.DynamicLayer):
        """Keys and values with spare places behind them: a step writes its own and copies none of the others."""

        room: tuple[Any, Any] | None = None

        def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            used = self.get_seq_length()
            wanted = used + key_states.shape[-2]
            if self.room is None or wanted > self.room[0].shape[-2]:
                old = (self.keys, self.values) if used else ()
                self.room = tuple(_spacious(new, wanted + SPARE) for new in (key_states, value_states))
                for wide, narrow in zip(self.room, old, strict=False):
                    wide[..., :used, :] = narrow
            for wide, new in zip(self.room, (key_states, value_states), strict=True):
                wide[..., used:wanted, :] = new
            self.keys, self.values = (wide[..., :wanted, :] for wide in self.room)
            return self.keys, self.values

        def batch_select_indices(self, indices: Any) -> None:
            super().batch_select_indices(indices)
            self.room = None  # the next step sets places aside for those that are left

    return GrowingLayer


def _spacious(like: Any, length: int) -> Any:
    rows, heads, _, size = like.shape
    return torch.empty(rows, heads, length, size, dtype=like.dtype, device=like.device)
