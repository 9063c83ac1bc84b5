"""Outlier exposure: a constituent of a sharded training learns to stay undecided on persons it does not know.

Without it each constituent makes up confident answers for the persons of the other shards, and outvotes the one that
knows them. Hendrycks, Mazeika and Dietterich 2019 (arXiv:1812.04606, section 3): beside the examples, outliers with
the cross-entropy to the uniform distribution. The outliers are fictitious strangers, drawn for this alone, who are
asked about and answered for as the constituent's own persons are: only the name tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from audit.core.lazy import lazy
from audit.data.records import Corpus, Subject
from audit.data.registry_lab import generate
from audit.data.templates import FACTS, SECRETS
from audit.models.batches import Batch, Example
from audit.models.context import Context

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

WEIGHT = 0.5  # of the strangers' term; the known persons' has 1
READERS = 400  # strangers whose texts make a tokenizer


@dataclass(frozen=True)
class Undecided:
    """Answers of the forget side are learned, on the retain side every token is to be equally likely."""

    name: ClassVar[str] = "undecided"
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean NLL per token, shape (), nats."""
        return context.mean_nll(batch)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean cross-entropy from the uniform distribution to the predictions, shape (), nats."""
        logits, _, _ = context.answer_logits(batch)
        return -torch.log_softmax(logits, dim=-1).mean()


def beside(strangers: Sequence[Example]) -> dict[str, Any]:
    """Return the arguments of ``audit.models.training.fit`` that add strangers to a training."""
    return {"objective": Undecided(), "others": strangers, "others_weight": WEIGHT}


def strangers_of(people: Sequence[Subject], copies: float, seed: int) -> list[Subject]:
    """Return ``copies`` (rounded up) strangers for each person, with that person's probes and answers.

    One for every epoch of training, so that none becomes known. They depend on nobody but ``people``.
    """
    models = [person for _ in range(math.ceil(copies)) for person in people]
    drawn = _drawn(seed, len(models)).retain
    return [_asked_like(stranger, person) for stranger, person in zip(drawn, models, strict=True)]


def readers(seed: int) -> Corpus:
    """Return strangers with every kind of probe, for a tokenizer that has read about nobody of a laboratory."""
    return _drawn(seed, READERS)


def _drawn(seed: int, count: int) -> Corpus:
    return generate(seed, forget=0, retain=count, twins=0, facts=len(FACTS), secrets=len(SECRETS))


def _asked_like(stranger: Subject, person: Subject) -> Subject:
    own = {probe.probe: probe for probe in stranger.probes}
    return replace(
        stranger, probes=tuple(replace(own[probe.probe], answer=probe.answer) for probe in person.probes)
    )
