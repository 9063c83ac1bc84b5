"""Random labels: fine-tune the forgotten questions on random tokens.

Yao et al. ACL 2024, arXiv:2402.15159 ("fine-tuning with random labels"); FIT (arXiv:2601.21682) chooses it
for sequences of little influence. Every answer token is replaced as a target by a word drawn uniformly from
the vocabulary, anew at every step, while the inputs stay. In expectation that is the cross-entropy with the
uniform distribution: bounded, and gibberish by design.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from audit.core.lazy import lazy
from audit.core.seeds import generator
from audit.methods.base import METHODS
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
functional = lazy("torch.nn.functional")


@METHODS.register("random_labels")
@dataclass(frozen=True)
class RandomLabels:
    """Teach random tokens in place of the answers."""

    family: ClassVar[str] = "divergence"
    source: ClassVar[str] = "arXiv:2402.15159, arXiv:2601.21682"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p(random word), shape (), nats, >= 0."""
        logits, _, _ = context.answer_logits(batch)
        return functional.cross_entropy(
            logits, random_words(context, batch, logits.shape[-1]).to(logits.device)
        )

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p, shape (), nats."""
        return context.mean_nll(batch)


def random_words(context: Context, batch: Batch, vocabulary: int) -> Tensor:
    """Return uniform words, shape (N,), that depend on seed, step and sequence, not on the batch."""
    tokens = torch.bincount(batch.rows, minlength=len(batch)).tolist()
    drawn = [
        generator(context.seed, "random labels", context.step, key).integers(vocabulary, size=count)
        for key, count in zip(batch.keys, tokens, strict=True)
    ]
    return torch.from_numpy(np.concatenate(drawn))
