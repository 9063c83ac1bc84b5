"""IDK-SFT: fine-tune on refusals.

Maini et al. 2024 (TOFU), arXiv:2401.06121, "preference optimisation" without the preference: the questions
to be forgotten are answered with a refusal, the retained ones as before. It teaches a new first token and
leaves the old answer where it was, so it is the shallow control: fine unattacked, often undone by
relearning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.methods.base import METHODS
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register("idk_sft")
@dataclass(frozen=True)
class RefusalFineTuning:
    """Make a refusal the likely answer to every forgotten question."""

    family: ClassVar[str] = "refusal"
    source: ClassVar[str] = "arXiv:2401.06121"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "refusals"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over refusal tokens of -log p(refusal | question), shape (), nats, >= 0."""
        return context.mean_nll(context.refusals(batch))

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p, shape (), nats."""
        return context.mean_nll(batch)
