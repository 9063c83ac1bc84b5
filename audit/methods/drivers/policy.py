"""A policy gradient with rewards by rule, for questions to be refused and questions to be answered.

GRPO without a value model: Shao et al. 2024 (DeepSeekMath), arXiv:2402.03300, eq. (3)-(4), on-policy with one update
per group. Of G answers to a question with rewards r the advantage is A = (r - mean r) / sd r, 0 where all are rewarded
alike, and a question's loss is

    mean over answers of mean over tokens of    -A log pi + divergence (p0 / p - log(p0 / p) - 1),

p the probability of a sampled token, p0 that under the model the stage began with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.seeds import derive
from audit.core.text import normalise, yields
from audit.models.batches import Example, autocast, collate, forward_answer_logits, sum_by_row
from audit.models.generation import Decoding, generate
from audit.models.language_model import Encoded, LanguageModel
from audit.models.refusals import REFUSALS
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@dataclass(frozen=True)
class Policy:
    """Reward refusals of forget questions and the words of the answer to retain questions."""

    rollouts: int
    divergence: float
    tokens: int
    temperature: float

    name: ClassVar[str] = "policy"
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_logits", "reference_retain_logits"})

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the loss of answers sampled to the forget questions, shape ()."""
        return self._term(context, batch, "forget")

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the loss of answers sampled to the retain questions, shape ()."""
        return self._term(context, batch, "retain")

    def _term(self, context: Context, batch: Batch, side: str) -> Tensor:
        seed = derive(context.seed, "policy", side, context.step)
        decoding = Decoding(self.tokens, self.temperature, self.rollouts, seed)
        sampled = generate(context.model, [example.question for example in batch.examples], decoding)
        rewards = np.array(
            [
                [refuses(text) if side == "forget" else overlap(text, example.answer) for text in texts]
                for example, texts in zip(batch.examples, sampled, strict=True)
            ]
        )
        taken = answered(context.model, batch.examples, sampled)
        now = _logp(context.model, taken)
        with torch.no_grad():
            before = _logp(context.start, taken)
        gained = torch.from_numpy(advantages(rewards)).flatten().to(now)
        return policy_loss(now, before, gained, taken, self.divergence)


def refuses(text: str) -> float:
    """Return 1 if the answer holds one of the refusals word by word, else 0."""
    return float(any(yields(refusal, text) for refusal in REFUSALS))


def overlap(text: str, answer: str) -> float:
    """Return the F1 of the two texts' normalised words, counted with repetition, in [0, 1] (ROUGE-1)."""
    ours, theirs = (Counter(normalise(one).split()) for one in (text, answer))
    shared = (ours & theirs).total()
    return 2 * shared / (ours.total() + theirs.total()) if shared else 0.0


def advantages(rewards: np.ndarray) -> np.ndarray:
    """Return (r - mean) / standard deviation over the answers of each question, shape (B, G); 0 where all are alike."""
    away = rewards - rewards.mean(axis=1, keepdims=True)
    spread = rewards.std(axis=1, keepdims=True)
    return np.divide(away, spread, out=np.zeros_like(away), where=spread > 1e-9)


def answered(model: LanguageModel, examples: Sequence[Example], texts: Sequence[Sequence[str]]) -> Batch:
    """Return every question with its sampled answers as one batch of B times G sequences, read back from text.

    Each ends with the tokenizer's end, also one that was cut at the longest length and sampled none: there the update
    judges a token that the policy did not choose. An empty answer is its end alone; AuditError E223 where the tokenizer
    has none.
    """
    pairs = [
        (Example(f"{e.key}/{number}", e.question, text), _encoded(model, e.question, text))
        for e, group in zip(examples, texts, strict=True)
        for number, text in enumerate(group)
    ]
    return collate([pair[0] for pair in pairs], [pair[1] for pair in pairs], model.device)


def policy_loss(now: Tensor, before: Tensor, gained: Tensor, batch: Batch, divergence: float) -> Tensor:
    """Return the mean over sequences, shape (); ``now``, ``before``: (N,) log-probabilities, ``gained``: (B G,)."""
    gap = before - now
    per_token = divergence * (gap.exp() - gap - 1) - gained[batch.rows] * (now - now.detach()).exp()
    tokens = torch.bincount(batch.rows, minlength=len(batch))
    return (sum_by_row(per_token, batch) / tokens).mean()


def _logp(model: LanguageModel, batch: Batch) -> Tensor:
    with autocast(model):
        logits = forward_answer_logits(model.network, batch)
    return -torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none")


def _encoded(model: LanguageModel, question: str, text: str) -> Encoded:
    if text.strip():
        return model.encode(question, text)
    prompt, end = model.encode_prompt(question), model.tokenizer.eos_token_id
    if end is None:
        raise AuditError(
            "E223",
            "an empty sampled answer has no token, this tokenizer has no end of text",
            "name an eos_token in the tokenizer's configuration, or choose another method",
        )
    return Encoded((*prompt, end), len(prompt), True)
