"""What a training run minimises and who may look in: the interfaces of the one step loop.

An objective has a forget term and a retain term; a step transform (``audit.models.update``) changes the
update, a weighting how often a sequence is seen, a callback looks on. Implementations are frozen dataclasses on
the floors above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import numpy as np

from audit.models.batches import Batch
from audit.models.context import Context

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Budget:
    """What one training run may spend: AdamW at ``lr`` for ``steps`` steps of ``batch`` forget sequences.

    ``forget_weight`` and ``retain_weight`` multiply the two terms; ``clip`` bounds the gradient norm (0 =
    off); ``warmup`` is the share of steps over which the rate rises linearly. ValueError for a number outside its
    range or not finite.
    """

    lr: float = 3e-4
    steps: int = 60
    batch: int = 32
    forget_weight: float = 1.0
    retain_weight: float = 2.0
    clip: float = 1.0
    weight_decay: float = 0.0
    warmup: float = 0.0

    def __post_init__(self) -> None:
        numbers = [getattr(self, one.name) for one in fields(self)]
        positive, weights = self.lr > 0 and self.batch >= 1, (self.forget_weight, self.retain_weight)
        others = min(self.steps, self.clip, self.weight_decay, *weights) >= 0 and self.warmup <= 1
        if not (all(map(math.isfinite, numbers)) and positive and others and self.warmup >= 0):
            raise ValueError(
                "budget needs finite numbers, lr > 0, batch >= 1, steps, weights, clip and weight_decay >= 0 and warmup "
                f"in [0, 1], got {self}"
            )

    def lr_at(self, step: int) -> float:
        """Return the rate of a step, counted from 0."""
        rising = self.warmup * self.steps
        return self.lr * min(1.0, (step + 1) / rising) if rising else self.lr


@runtime_checkable
class Objective(Protocol):
    """What training minimises: forget_weight * forget_term + retain_weight * retain_term.

    ``needs`` names services. The forget term's: ``reference_nll``, ``reference_logits``,
    ``reference_hidden``, ``refusals``, ``alternates``, ``sampled_alternates``; and ``feature_means``, one pass
    over both sides' activations at the start, which happens whatever the retain weight. The retain term's:
    ``retain``, without which it is never asked for, ``reference_retain_nll``, ``reference_retain_logits``,
    ``reference_retain_hidden``. Those of a term of weight zero are not prepared. Terms have shape () and
    are means: they do not grow with the batch.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]]

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the forget term of a batch of forget sequences."""
        ...

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the retain term of a batch of retain sequences."""
        ...


def services(needs: frozenset[str], *, forget: bool, retain: bool) -> frozenset[str]:
    """Return those of ``needs`` that the terms asked for use: ``forget`` and ``retain`` say which are."""
    retains = frozenset(need for need in needs if need == "retain" or need.startswith("reference_retain_"))
    return (needs - retains if forget else frozenset()) | (retains if retain else frozenset())


class Weighting(Protocol):
    """Decides how often each forget sequence is seen, which weighs its share of the forget term in expectation."""

    def weights(self, context: Context, share: float) -> np.ndarray:
        """Return how often an epoch holds each of ``context.forget_examples``, shape (F,), >= 0, of mean 1.

        ``share`` of the steps is done, in [0, 1). Asked before every step; ``context.remember`` keeps what holds.
        """
        ...


class Callback(Protocol):
    """Looks on after every step."""

    def after_step(self, context: Context) -> bool:
        """Return True to stop the run."""
        ...


@dataclass(frozen=True)
class NLL:
    """Plain fine-tuning: the mean negative log-likelihood of all answer tokens, of both sides."""

    name: ClassVar[str] = "nll"
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean NLL per token, shape (), nats."""
        return context.mean_nll(batch)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean NLL per token, shape (), nats."""
        return context.mean_nll(batch)
