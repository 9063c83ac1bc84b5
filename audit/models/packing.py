"""Several answers to one question in one row: the question is read once, the answers do not see each other.

Every answer keeps the positions it would have alone, and a mask hides the others; the values are those of
separate sequences up to rounding. On TOFU, whose chat prompt is twice as long as an answer, seven answers cost
less than half. Networks without plain attention (state spaces, short windows) cannot be packed: they are noticed by
a trial of a few tokens and get one sequence per answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from audit.core.lazy import lazy
from audit.data.records import Probe
from audit.models.caches import NOTHING, Beginning, inference_context, shared_beginning
from audit.models.language_model import LanguageModel, compute_dtype
from audit.models.layers import body, head, hidden_states, text_config
from audit.models.scoring import (
    BATCH_TOKENS,
    Scored,
    buckets,
    score,
    standardised_logp,
)

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

_TRIAL = 1e-3  # largest difference of hidden states that rounding explains, relative to their size


@dataclass(frozen=True)
class Row:
    """A prompt and several answers as one sequence.

    ``ids``, ``positions``, ``owners``: (L,), owner 0 is the prompt, k the k-th answer, whose last token is not an
    input. ``sources`` (N,) says at which place of the row each of the N answer tokens ``targets`` is predicted.
    ``after``: the place of the first answer's last token, which then is an input, or None.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    owners: tuple[int, ...]
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    lengths: tuple[int, ...]  # answer tokens of each answer
    after: int | None = None


def score_packed(
    model: LanguageModel,
    probes: Sequence[Probe],
    others: Sequence[Sequence[str]],
    *,
    moments: bool = False,
    predictions: bool = False,
) -> list[tuple[Scored, tuple[np.ndarray, ...]]]:
    """Return, per probe, its record as ``scoring.score`` gives it and the log-probabilities of ``others``.

    ``others``: further answers to each probe's question. Log-probabilities are per token without EOS, nats, float64,
    equal to those of separate sequences to 1e-5 in float32. Raises E206 and E207 as ``LanguageModel.encode``.
    """
    rows = [
        _row(model, p.question, (p.answer, *texts), predictions)
        for p, texts in zip(probes, others, strict=True)
    ]
    if not _packs(model, max((max(row.positions) for row in rows), default=0)):
        return _one_by_one(model, probes, others, moments, predictions)
    beginning = shared_beginning(model, [row.ids[: row.owners.count(0)] for row in rows])
    found: dict[int, tuple[Scored, tuple[np.ndarray, ...]]] = {}
    for chosen in buckets([len(row.ids) for row in rows], BATCH_TOKENS[model.device.type]):
        answers = _forward(model, [rows[i] for i in chosen], beginning, moments)
        for index in chosen:
            first, *rest = [next(answers) for _ in rows[index].lengths]
            found[index] = _scored(probes[index], first, moments), tuple(answer.logp for answer in rest)
    return [found[index] for index in range(len(rows))]


def _row(model: LanguageModel, question: str, answers: Sequence[str], predictions: bool) -> Row:
    encoded = [model.encode(question, text) for text in answers]
    prompt = encoded[0].ids[: encoded[0].answer_start]
    ids, positions, owners = list(prompt), list(range(len(prompt))), [0] * len(prompt)
    sources: list[int] = []
    targets: list[int] = []
    for owner, item in enumerate(encoded, start=1):
        tokens = item.ids[item.answer_start : len(item.ids) - item.eos]
        sources += [len(prompt) - 1, *range(len(ids), len(ids) + len(tokens) - 1)]
        targets += tokens
        inputs = tokens if predictions and owner == 1 else tokens[:-1]
        ids += inputs
        positions += range(len(prompt), len(prompt) + len(inputs))
        owners += [owner] * len(inputs)
    lengths = tuple(item.answer_tokens for item in encoded)
    after = len(prompt) + lengths[0] - 1 if predictions else None
    return Row(tuple(ids), tuple(positions), tuple(owners), tuple(sources), tuple(targets), lengths, after)


class _Answer(NamedTuple):
    logp: np.ndarray
    greedy: np.ndarray
    standardised: np.ndarray
    predicted: np.ndarray


def _forward(
    model: LanguageModel, rows: Sequence[Row], beginning: Beginning, moments: bool
) -> Iterator[_Answer]:
    """Yield every answer of every row; what lies beyond ``logp`` is computed for first answers only."""
    device = model.device
    first = np.array([i == 0 for row in rows for i, n in enumerate(row.lengths) for _ in range(n)])
    places = [(b, s - beginning.tokens) for b, row in enumerate(rows) for s in row.sources]
    after = [(b, row.after - beginning.tokens) for b, row in enumerate(rows) if row.after is not None]
    with torch.inference_mode(), inference_context(model):
        hidden = _hidden(model.network, rows, device, beginning)  # (B, L, H)
        at = torch.tensor([*places, *after], device=device)
        targets = torch.tensor([t for row in rows for t in row.targets], device=device)
        every = head(model.network, hidden[at[:, 0], at[:, 1]])  # (N, V)
        logits, then = every[: len(places)], every[len(places) :].argmax(-1).tolist()
        logp = -torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        own = torch.tensor(first, device=device)
        best, standardised = torch.full_like(targets, -1), torch.zeros_like(logp)
        best[own] = logits[own].argmax(-1)
        if moments:
            standardised[own] = standardised_logp(logits[own].log_softmax(-1), logp[own])
    ends = np.cumsum([length for row in rows for length in row.lengths])[:-1]
    values = (logp.double(), best == targets, standardised.double(), best)
    answers = map(_Answer, *(np.split(value.cpu().numpy(), ends) for value in values))
    for row, token in itertools.zip_longest(rows, then):
        own_answer = next(answers)
        yield own_answer._replace(predicted=np.append(own_answer.predicted, [] if token is None else token))
        yield from itertools.islice(answers, len(row.lengths) - 1)


def _scored(probe: Probe, answer: _Answer, moments: bool) -> Scored:
    predicted = answer.predicted if len(answer.predicted) > len(answer.logp) else None
    return Scored(
        *(probe.subject, probe.probe, 0, answer.logp, answer.greedy, probe.answer, None, probe.question),
        standardised=answer.standardised if moments else None,
        predicted=predicted,
    )


def _hidden(network: Any, rows: Sequence[Row], device: Any, beginning: Beginning = NOTHING) -> Tensor:
    """Return the final hidden states behind the beginning that all rows share, (B, L, H)."""
    start = beginning.tokens
    longest = max(len(row.ids) for row in rows) - start
    ids, positions, owners = (
        torch.tensor(
            [[*getattr(row, name)[start:], *[pad] * (longest + start - len(row.ids))] for row in rows],
            device=device,
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
    mask = torch.nn.functional.pad(mask, (start, 0))  # everybody sees the beginning
    past = beginning.cache(network, len(rows)) if start else None
    states = body(network)(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=past, use_cache=start > 0
    )
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
    model: LanguageModel,
    probes: Sequence[Probe],
    others: Sequence[Sequence[str]],
    moments: bool,
    predictions: bool,
) -> list[tuple[Scored, tuple[np.ndarray, ...]]]:
    asked = [replace(p, answer=text) for p, texts in zip(probes, others, strict=True) for text in texts]
    found = iter(score(model, asked))
    own = score(model, probes, moments=moments, predictions=predictions)
    return [(item, tuple(next(found).logp for _ in texts)) for item, texts in zip(own, others, strict=True)]
