"""AltPO: prefer a plausible wrong answer to the true one, against the frozen starting model.

Mekala et al. COLING 2025, arXiv:2409.13474: IdkDPO's loss with in-domain alternates in place of refusals,
L = mean_b -(2/beta) log sigmoid(beta (log-ratio of alternate - of answer)). Published grid: beta 0.05 to 0.5,
retain weight 1 to 5, two epochs; five alternates per question, drawn at temperature 1 from the starting model
asked for other facts (``alternates=sampled``). Small models cannot do that: by default, which is ours, an alternate is the
answer of another person of the retain set to the same kind of question. It teaches to make things up, and
swapped answers are somebody's true ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from audit.core.lazy import lazy
from audit.methods.base import METHODS
from audit.methods.objectives.idk_dpo import log_ratio
from audit.models.training import Batch, Context

if TYPE_CHECKING:
    from torch import Tensor

functional = lazy("torch.nn.functional")


@METHODS.register("altpo")
@dataclass(frozen=True)
class AlternatePreference:
    """Widen the margin between a plausible wrong answer and the true one, relative to the starting model."""

    beta: float = 0.1  # inverse temperature, > 0
    alternates: Literal["swapped", "sampled"] = "swapped"  # other persons' answers, or the model's own

    family: ClassVar[str] = "preference"
    source: ClassVar[str] = "arXiv:2409.13474"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.5
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 1.0}

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta must be positive, got {self.beta}")
        if self.alternates not in ("swapped", "sampled"):
            raise ValueError(f"alternates must be swapped or sampled, got {self.alternates!r}")

    @property
    def needs(self) -> frozenset[str]:
        """Names of the services used besides the forget set."""
        service = "alternates" if self.alternates == "swapped" else "sampled_alternates"
        return frozenset({"retain", "reference_nll", service})

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return mean_b -(2/beta) log sigmoid(beta (log-ratio of alternate - of answer)), shape (), nats."""
        margin = log_ratio(context, context.alternates(batch)) - log_ratio(context, batch)  # (B,)
        return -(2 / self.beta) * functional.logsigmoid(self.beta * margin).mean()

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p, shape (), nats."""
        return context.mean_nll(batch)
