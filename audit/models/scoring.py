"""One forward pass from which every likelihood metric is computed, and generation.

lm_head runs at answer positions only: with a vocabulary of 128k it is a fifth of a 1B model's work. Sequences
are batched by length; padding stands on the right, where a causal model never looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from audit.core.lazy import lazy
from audit.core.text import normalise, yields
from audit.data.records import Probe
from audit.models.batches import Example, collate, forward_answer_logits
from audit.models.generation import Decoding, generate
from audit.models.load import Encoded, LanguageModel, compute_dtype

__all__ = [
    "Decoding",
    "Scored",
    "buckets",
    "extraction_strength",
    "generate",
    "normalise",
    "score",
    "yields",
]

torch = lazy("torch")

BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}  # part of the batch policy: batches never depend on free memory


@dataclass(frozen=True)
class Scored:
    """One probe under one model; ``logp`` and ``greedy`` cover the T answer tokens without EOS.

    ``logp``: (T,) float64, nats, log-probability of each token given question and previous answer tokens.
    ``greedy``: (T,) bool, whether the token is the arg max there. ``generation``: the model's own answer or
    None.
    """

    subject: str
    probe: str
    draw: int
    logp: np.ndarray
    greedy: np.ndarray
    answer: str
    generation: str | None


def score(
    model: LanguageModel,
    probes: Sequence[Probe],
    *,
    generate: bool = False,
    decoding: Decoding | None = None,
    batch_tokens: int | None = None,
) -> list[Scored]:
    """Return one record per probe, in order; with several samples one per probe and draw, draws adjacent.

    The same model, probes and batch size give the same values bit by bit; batch sizes agree to 1e-5 in
    float32.
    """
    encoded = [model.encode(probe.question, probe.answer) for probe in probes]
    plain = _likelihoods(model, probes, encoded, batch_tokens or BATCH_TOKENS[model.device.type])
    if not generate:
        return plain
    answers = _generate(model, [probe.question for probe in probes], decoding or Decoding())
    return [
        replace(scored, draw=draw, generation=text)
        for scored, texts in zip(plain, answers, strict=True)
        for draw, text in enumerate(texts)
    ]


def extraction_strength(greedy: np.ndarray) -> float:
    """Return 1 - k/T, k the shortest prefix after which every token is the arg max; 0 when the last is not.

    Carlini et al. 2021, arXiv:2012.07805, as used by Wang et al. 2025, arXiv:2406.09179.
    """
    wrong = np.flatnonzero(~np.asarray(greedy, dtype=bool))
    if len(greedy) == 0:
        return 0.0
    return 1.0 - (wrong[-1] + 1) / len(greedy) if len(wrong) else 1.0


def buckets(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Yield index lists of similar length whose padded size is at most ``batch_tokens`` (one always fits)."""
    chosen: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if chosen and lengths[index] * (len(chosen) + 1) > batch_tokens:
            yield chosen
            chosen = []
        chosen.append(index)
    if chosen:
        yield chosen


_generate = generate  # ``score`` has a parameter of that name


def _likelihoods(
    model: LanguageModel, probes: Sequence[Probe], encoded: Sequence[Encoded], batch_tokens: int
) -> list[Scored]:
    found: dict[int, Scored] = {}
    for chosen in buckets([len(item.ids) for item in encoded], batch_tokens):
        logp, greedy = _answer_tokens(model, [encoded[i] for i in chosen])
        start = 0
        for index in chosen:
            probe, stop = probes[index], start + encoded[index].answer_tokens
            found[index] = Scored(
                probe.subject, probe.probe, 0, logp[start:stop], greedy[start:stop], probe.answer, None
            )
            start = stop
    return [found[index] for index in range(len(probes))]


def _answer_tokens(model: LanguageModel, encoded: Sequence[Encoded]) -> tuple[np.ndarray, np.ndarray]:
    """Return log-probabilities and arg max hits of all answer tokens but EOS, sequence after sequence."""
    bare = [Encoded(item.ids[: len(item.ids) - item.eos], item.answer_start, False) for item in encoded]
    batch = collate([Example("", "", "")] * len(bare), bare, model.device)
    with torch.inference_mode(), inference_context(model):
        logits = forward_answer_logits(model.network, batch)  # (N, V)
        logp = logits.log_softmax(-1).gather(1, batch.targets[:, None])[:, 0]
        hits = logits.argmax(-1) == batch.targets
    return logp.double().cpu().numpy(), hits.cpu().numpy()


def inference_context(model: LanguageModel) -> Any:
    """Return the autocast context of forwards without training: bfloat16 on CUDA, float32 elsewhere."""
    dtype = compute_dtype(model.device)
    return torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32)
