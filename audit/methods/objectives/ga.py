"""GA, gradient ascent: the collapse control.

Jang, Yoon, Yang et al. ACL 2023, arXiv:2210.01504; baseline of TOFU (arXiv:2401.06121). Published with
learning rate 1e-5 and early stopping as the only brake: the objective has no lower bound, so the model
forgets everything. An audit must refuse it for its utility, and for over-forgetting, however little it
recovers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.methods.base import METHODS
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register("ga")
@dataclass(frozen=True)
class GradientAscent:
    """Maximise the negative log-likelihood of the answers to be forgotten."""

    family: ClassVar[str] = "divergence"
    source: ClassVar[str] = "arXiv:2210.01504"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 0.5
    needs: ClassVar[frozenset[str]] = frozenset()
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 0.0}

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return -(mean over answer tokens of -log p), shape (), nats, unbounded below."""
        return -context.mean_nll(batch)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Refuse: gradient ascent with a retain term is graddiff."""
        raise ValueError("ga has no retain term; graddiff is gradient ascent with one")
