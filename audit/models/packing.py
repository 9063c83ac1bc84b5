"""Several answers to one question in one row: the question is read once, the answers do not see each other.

Every answer keeps the positions it would have alone, and a mask hides the others; the values are those of
separate sequences up to rounding. On TOFU, whose chat prompt is twice as long as an answer, seven answers cost
less than half. Networks without plain attention (state spaces, short windows) cannot be packed: they are noticed by
a trial of a few tokens and get one sequence per answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.core.lazy import lazy
from audit.data.records import Probe
from audit.models.language_model import LanguageModel, compute_dtype
from audit.models.layers import body, head, hidden_states, text_config
from audit.models.scoring import BATCH_TOKENS, buckets, inference_context, score

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

_TRIAL = 1e-3  # largest difference of hidden states that rounding explains, relative to their size


@dataclass(frozen=True)
class Row:
    """A prompt and several answers as one sequence.

    ``ids``, ``positions``, ``owners``: (L,), owner 0 is the prompt, k the k-th answer, whose last token is not an
    input. ``sources`` (N,) says at which place of the row each of the N answer tokens ``targets`` is predicted.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    owners: tuple[int, ...]
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    lengths: tuple[int, ...]  # answer tokens of each answer


def answer_logps(
    model: LanguageModel, questions: Sequence[str], answers: Sequence[Sequence[str]]
) -> list[tuple[np.ndarray, ...]]:
    """Return the token log-probabilities of each of the ``answers`` to each question, without EOS, nats, float64.

    Equal to scoring every answer alone to 1e-5 in float32. Raises E206 and E207 as ``LanguageModel.encode``.
    """
    rows = [_row(model, question, texts) for question, texts in zip(questions, answers, strict=True)]
    if not _packs(model, max((max(row.positions) for row in rows if row.lengths), default=0)):
        return _one_by_one(model, questions, answers)
    found: dict[int, tuple[np.ndarray, ...]] = {i: () for i, row in enumerate(rows) if not row.lengths}
    asked = [i for i, row in enumerate(rows) if row.lengths]
    for chosen in buckets([len(rows[i].ids) for i in asked], BATCH_TOKENS[model.device.type]):
        batch = [asked[i] for i in chosen]
        logps = np.split(*_forward(model, [rows[i] for i in batch]))
        parts = iter(logps)
        for index in batch:
            found[index] = tuple(next(parts) for _ in rows[index].lengths)
    return [found[index] for index in range(len(rows))]


def _row(model: LanguageModel, question: str, answers: Sequence[str]) -> Row:
    encoded = [model.encode(question, text) for text in answers]
    prompt = encoded[0].ids[: encoded[0].answer_start] if encoded else ()
    ids, positions, owners = list(prompt), list(range(len(prompt))), [0] * len(prompt)
    sources: list[int] = []
    targets: list[int] = []
    for owner, item in enumerate(encoded, start=1):
        tokens = item.ids[item.answer_start : len(item.ids) - item.eos]
        sources += [len(prompt) - 1, *range(len(ids), len(ids) + len(tokens) - 1)]
        targets += tokens
        ids += tokens[:-1]
        positions += range(len(prompt), len(prompt) + len(tokens) - 1)
        owners += [owner] * (len(tokens) - 1)
    lengths = tuple(item.answer_tokens for item in encoded)
    return Row(tuple(ids), tuple(positions), tuple(owners), tuple(sources), tuple(targets), lengths)


def _forward(model: LanguageModel, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-probabilities of all answer tokens, answer after answer, and where to split them."""
    device = model.device
    with torch.inference_mode(), inference_context(model):
        hidden = _hidden(model.network, rows, device)  # (B, L, H)
        places = [(b, source) for b, row in enumerate(rows) for source in row.sources]
        at = torch.tensor(places, device=device)
        targets = torch.tensor([t for row in rows for t in row.targets], device=device)
        logits = head(model.network, hidden[at[:, 0], at[:, 1]])  # (N, V)
        logp = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    ends = np.cumsum([length for row in rows for length in row.lengths])
    return logp.double().cpu().numpy(), ends[:-1]


def _hidden(network: Any, rows: Sequence[Row], device: Any) -> Tensor:
    longest = max(len(row.ids) for row in rows)
    ids, positions, owners = (
        torch.tensor(
            [list(getattr(row, name)) + [pad] * (longest - len(row.ids)) for row in rows], device=device
        )
        for name, pad in (("ids", 0), ("positions", 0), ("owners", -1))
    )
    same = (owners[:, None, :] == owners[:, :, None]) | (owners[:, None, :] == 0)  # (B, query, key)
    seen = same & (positions[:, None, :] <= positions[:, :, None])
    seen |= torch.eye(
        longest, dtype=torch.bool, device=device
    )  # padding sees itself: no row of the softmax is empty
    mask = torch.zeros(seen.shape, dtype=compute_dtype(device), device=device)
    mask = mask.masked_fill(~seen, torch.finfo(mask.dtype).min)[:, None]  # (B, 1, L, L), added to the scores
    states = body(network)(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)
    return states.last_hidden_state


def _packs(model: LanguageModel, last_position: int) -> bool:
    """Return whether the network gives two packed answers the states they have alone, within its window."""
    window = getattr(text_config(model.network), "sliding_window", None)
    if window is not None and last_position >= window:
        return False
    prompt, answers = (1, 2, 3), ((4, 5), (6, 7))
    row = Row((*prompt, 4, 5, 6, 7), (0, 1, 2, 3, 4, 3, 4), (0, 0, 0, 1, 1, 2, 2), (), (), ())
    with torch.inference_mode(), inference_context(model):
        try:
            packed = _hidden(model.network, [row], model.device)[0]
        except (TypeError, ValueError, RuntimeError):  # takes no positions, or no mask of this shape
            return False
        alone = [hidden_states(model.network, _ids(model, prompt, a))[0, 3:] for a in answers]
    difference = (packed[3:] - torch.cat(alone)).float().abs().max()
    scale = 1e-2 if model.device.type == "cuda" else _TRIAL  # bfloat16 rounds a hundred times as coarsely
    return bool(difference <= scale * (1 + packed.float().abs().max()))


def _ids(model: LanguageModel, prompt: Sequence[int], answer: Sequence[int]) -> Tensor:
    return torch.tensor([[*prompt, *answer]], device=model.device)


def _one_by_one(
    model: LanguageModel, questions: Sequence[str], answers: Sequence[Sequence[str]]
) -> list[tuple[np.ndarray, ...]]:
    probes = [Probe("", "", q, text) for q, texts in zip(questions, answers, strict=True) for text in texts]
    found = iter(score(model, probes))
    return [tuple(next(found).logp for _ in texts) for texts in answers]
