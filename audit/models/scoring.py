"""One forward pass from which every likelihood metric is computed, and generation.

lm_head runs at answer positions only: with a vocabulary of 128k it is a fifth of a 1B model's work. Sequences
are batched by length; padding stands on the right, where a causal model never looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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
    "standardised_logp",
    "with_generations",
    "yields",
]

if TYPE_CHECKING:
    from audit.models.activations import Lens

torch = lazy("torch")

BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}  # part of the batch policy: batches never depend on free memory


@dataclass(frozen=True)
class Scored:
    """One probe under one model; ``logp`` and ``greedy`` cover the T answer tokens without EOS.

    ``logp``: (T,) float64, nats, log-probability of each token given question and previous answer tokens.
    ``greedy``: (T,) bool, whether the token is the arg max there. ``generation``: the model's own answer or
    None. What follows is None (or empty) unless ``asked`` names it and the probe has it:

    ``standardised`` ("moments"): (T,) float64, ``logp`` less its mean over the vocabulary, over its standard
    deviation there. ``paraphrase_logp`` ("paraphrase") and ``wrong_logp`` ("wrong_answers"): token
    log-probabilities of the paraphrased and of each wrong answer. ``reference_logp`` ("reference"): (T,) of a
    reference model. ``prefixed_logp`` ("prefix"): after texts by strangers. ``gradient_norm`` ("gradient").
    ``lens`` ("layers"): what each block tells of the answer. ``patching_depth`` ("patching"): how much of the answer
    is gone from the blocks.
    """

    subject: str
    probe: str
    draw: int
    logp: np.ndarray
    greedy: np.ndarray
    answer: str
    generation: str | None
    question: str = ""
    asked: frozenset[str] = frozenset()
    standardised: np.ndarray | None = None
    paraphrase_logp: np.ndarray | None = None
    wrong_logp: tuple[np.ndarray, ...] = ()
    reference_logp: np.ndarray | None = None
    prefixed_logp: np.ndarray | None = None
    gradient_norm: float | None = None
    lens: Lens | None = None
    patching_depth: float | None = None


def score(
    model: LanguageModel,
    probes: Sequence[Probe],
    *,
    generate: bool = False,
    decoding: Decoding | None = None,
    batch_tokens: int | None = None,
    moments: bool = False,
) -> list[Scored]:
    """Return one record per probe, in order; with several samples one per probe and draw, draws adjacent.

    ``moments``: also standardise each log-probability over the vocabulary, in the same pass.

    The same model, probes and batch size give the same values bit by bit; batch sizes agree to 1e-5 in
    float32.
    """
    encoded = [model.encode(probe.question, probe.answer) for probe in probes]
    plain = _likelihoods(model, probes, encoded, batch_tokens or BATCH_TOKENS[model.device.type], moments)
    return with_generations(model, plain, decoding) if generate else plain


def with_generations(
    model: LanguageModel, scored: Sequence[Scored], decoding: Decoding | None = None
) -> list[Scored]:
    """Return each record once per sampled answer, with its text; draws of a probe stand side by side."""
    answers = generate(model, [item.question for item in scored], decoding or Decoding())
    return [
        replace(item, draw=draw, generation=text)
        for item, texts in zip(scored, answers, strict=True)
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


def _likelihoods(
    model: LanguageModel,
    probes: Sequence[Probe],
    encoded: Sequence[Encoded],
    batch_tokens: int,
    moments: bool,
) -> list[Scored]:
    asked = frozenset({"moments"}) if moments else frozenset()
    found: dict[int, Scored] = {}
    for chosen in buckets([len(item.ids) for item in encoded], batch_tokens):
        logp, greedy, standardised = _answer_tokens(model, [encoded[i] for i in chosen], moments)
        start = 0
        for index in chosen:
            probe, own = probes[index], slice(start, start + encoded[index].answer_tokens)
            found[index] = Scored(
                probe.subject,
                probe.probe,
                0,
                logp[own],
                greedy[own],
                probe.answer,
                None,
                probe.question,
                asked,
                standardised[own] if standardised is not None else None,
            )
            start = own.stop
    return [found[index] for index in range(len(probes))]


def _answer_tokens(
    model: LanguageModel, encoded: Sequence[Encoded], moments: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return log-probabilities, arg max hits and standardised values of all answer tokens but EOS, flat."""
    bare = [Encoded(item.ids[: len(item.ids) - item.eos], item.answer_start, False) for item in encoded]
    batch = collate([Example("", "", "")] * len(bare), bare, model.device)
    with torch.inference_mode(), inference_context(model):
        logits = forward_answer_logits(model.network, batch)  # (N, V)
        every = logits.log_softmax(-1)
        logp = every.gather(1, batch.targets[:, None])[:, 0]
        hits = logits.argmax(-1) == batch.targets
        standardised = standardised_logp(every, logp).double().cpu().numpy() if moments else None
    return logp.double().cpu().numpy(), hits.cpu().numpy(), standardised


def standardised_logp(every: Any, logp: Any) -> Any:
    """Return (logp - mean) / sd under the model's own distribution, (N,); as Min-K %++ (arXiv:2404.02936).

    The variance is at least 1e-6, as in open-unlearning: a certain token has none.
    """
    share = every.exp()
    mean = (share * every).sum(-1)
    variance = (share * (every - mean[:, None]).square()).sum(-1)
    return (logp - mean) / variance.clamp(min=1e-6).sqrt()


def inference_context(model: LanguageModel) -> Any:
    """Return the autocast context of forwards without training: bfloat16 on CUDA, float32 elsewhere."""
    dtype = compute_dtype(model.device)
    return torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32)
