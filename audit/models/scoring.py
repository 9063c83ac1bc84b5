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
from audit.models.batches import Example, collate
from audit.models.caches import Beginning, inference_context, shared_beginning, states_after
from audit.models.generation import Decoding, generate
from audit.models.layers import head
from audit.models.load import Encoded, LanguageModel

__all__ = [
    "Decoding",
    "Scored",
    "buckets",
    "extraction_strength",
    "generate",
    "inference_context",
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

    ``predicted``: (T + 1,) the arg max tokens, at each answer token and after the last; None where they were not kept.
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
    predicted: np.ndarray | None = None
    patching_depth: float | None = None

    @property
    def known(self) -> tuple[int, ...]:
        """The tokens with which the model's greedy answer begins, as far as ``predicted`` shows them."""
        if self.predicted is None:
            return ()
        wrong = np.flatnonzero(~self.greedy)
        return tuple(self.predicted[: (wrong[0] if len(wrong) else len(self.greedy)) + 1].tolist())


def score(
    model: LanguageModel,
    probes: Sequence[Probe],
    *,
    generate: bool = False,
    decoding: Decoding | None = None,
    batch_tokens: int | None = None,
    moments: bool = False,
    predictions: bool = False,
) -> list[Scored]:
    """Return one record per probe, in order; with several samples one per probe and draw, draws adjacent.

    ``moments``: also standardise each log-probability over the vocabulary, in the same pass. ``predictions``: also
    keep the arg max tokens, for ``with_generations``.

    The same model, probes and batch size give the same values bit by bit; batch sizes agree to 1e-5 in
    float32.
    """
    encoded = [model.encode(probe.question, probe.answer) for probe in probes]
    size = batch_tokens or BATCH_TOKENS[model.device.type]
    plain = _likelihoods(model, probes, encoded, size, moments, generate or predictions)
    return with_generations(model, plain, decoding) if generate else plain


def with_generations(
    model: LanguageModel, scored: Sequence[Scored], decoding: Decoding | None = None
) -> list[Scored]:
    """Return each record once per sampled answer, with its text; draws of a probe stand side by side.

    Greedy answers go on from what ``predicted`` shows: the records must be ``model``'s own.
    """
    decoding = decoding or Decoding()
    known = None if decoding.temperature > 0 else [item.known for item in scored]
    answers = generate(model, [item.question for item in scored], decoding, known)
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
    predictions: bool,
) -> list[Scored]:
    asked = frozenset({"moments"}) if moments else frozenset()
    beginning = shared_beginning(model, [item.ids[: item.answer_start] for item in encoded])
    found: dict[int, Scored] = {}
    for chosen in buckets([len(item.ids) for item in encoded], batch_tokens):
        parts = _answer_tokens(model, [encoded[i] for i in chosen], beginning, moments, predictions)
        for index, (logp, greedy, standardised, predicted) in zip(chosen, parts, strict=True):
            probe = probes[index]
            found[index] = Scored(
                *(probe.subject, probe.probe, 0, logp, greedy, probe.answer, None, probe.question, asked),
                standardised=standardised,
                predicted=predicted,
            )
    return [found[index] for index in range(len(probes))]


def _answer_tokens(
    model: LanguageModel, encoded: Sequence[Encoded], beginning: Beginning, moments: bool, predictions: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]]:
    """Yield, per sequence, log-probabilities, arg max hits, standardised values and arg max tokens without EOS's."""
    bare = [Encoded(item.ids[: len(item.ids) - item.eos], item.answer_start, False) for item in encoded]
    batch = collate([Example("", "", "")] * len(bare), bare, model.device)
    rows = torch.arange(len(bare), device=model.device)
    last = torch.tensor([len(item.ids) - 1 - beginning.tokens for item in bare], device=model.device)
    with torch.inference_mode(), inference_context(model):
        hidden = states_after(beginning, model.network, batch.ids)  # (B, T, H)
        logits = head(model.network, hidden[batch.rows, batch.positions - beginning.tokens])  # (N, V)
        every = logits.log_softmax(-1)
        logp = every.gather(1, batch.targets[:, None])[:, 0]
        best = logits.argmax(-1)
        # A product of its own: as further rows of the one above it could change the last bits of the others.
        after = head(model.network, hidden[rows, last]).argmax(-1).tolist() if predictions else None
        standardised = standardised_logp(every, logp).double().cpu().numpy() if moments else None
    hits, best = (best == batch.targets).cpu().numpy(), best.cpu().numpy()
    logp = logp.double().cpu().numpy()
    start = 0
    for row, item in enumerate(bare):
        own = slice(start, start := start + item.answer_tokens)
        yield (
            logp[own],
            hits[own],
            None if standardised is None else standardised[own],
            None if after is None else np.append(best[own], after[row]),
        )


def standardised_logp(every: Any, logp: Any) -> Any:
    """Return (logp - mean) / sd under the model's own distribution, (N,); as Min-K %++ (arXiv:2404.02936).

    The variance is at least 1e-6, as in open-unlearning: a certain token has none.
    """
    share = every.exp()
    mean = (share * every).sum(-1)
    variance = (share * (every - mean[:, None]).square()).sum(-1)
    return (logp - mean) / variance.clamp(min=1e-6).sqrt()
