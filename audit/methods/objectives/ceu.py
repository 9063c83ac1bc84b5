"""CE-U, cross-entropy unlearning: imitate yourself without the answer.

Yang 2025, arXiv:2503.01224. The target of each token is the current model's own distribution with the
answer's logit at minus infinity, q = softmax(sg(z) with z_y = -inf), and the term is the cross-entropy
CE(q, p). Its gradient p - q stays bounded where gradient ascent's vanishes (p_y near 1) or explodes (p_y near
0). Forget-only: no retain term and no frozen model. The first answer token is left out, as in the paper's
footnote. Sensitive to the learning rate (the author's hint for 7B models: 2e-6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
functional = lazy("torch.nn.functional")


@METHODS.register("ceu")
@dataclass(frozen=True)
class CrossEntropyUnlearning:
    """Move each token's distribution to itself with the answer taken out."""

    skipped: int = 1  # answer tokens left alone at the start of each answer, >= 0

    family: ClassVar[str] = "divergence"
    source: ClassVar[str] = "arXiv:2503.01224"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 0.5
    needs: ClassVar[frozenset[str]] = frozenset()
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 0.0}

    def __post_init__(self) -> None:
        if not self.skipped >= 0:
            raise ValueError(f"skipped must not be negative, got {self.skipped}")

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over the answer tokens counted of CE(q, p), shape (), nats, >= 0.

        Answers of no more than ``skipped`` tokens count for nothing; where all are so short the term is 0.
        """
        logits, targets, rows = context.answer_logits(batch)  # (N, V), (N,), (N,)
        without = logits.detach().scatter(-1, targets[:, None], -torch.inf)
        terms = functional.cross_entropy(logits, without.softmax(-1), reduction="none")  # (N,)
        tokens = torch.bincount(rows, minlength=len(batch))  # (B,)
        place = torch.arange(len(rows), device=rows.device) - (tokens.cumsum(0) - tokens)[rows]
        counted = place >= self.skipped
        return (terms * counted).sum() / counted.sum().clamp(min=1)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Refuse: the target is the model itself, nothing else is held."""
        raise ValueError("ceu has no retain term")
