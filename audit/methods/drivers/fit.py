"""FIT: one request after the other, filtered, each sequence by an algorithm of its own, in few layers.

Xu et al. 2026, arXiv:2601.21682. For every request, from the weights the last one left:

1. Filter. A sequence whose embedding has a cosine above ``similarity`` with one of an earlier request is redundant and
   left out, unless the request's loss with and without it differs by more than ``difference``.
2. Importance, the norm of the loss gradient at its input embeddings: the lowest third is taught random labels, the
   middle third gets NPO, the highest NPO and a KL term on the retain answers. A batch holds all three, so that the
   KL term is there throughout.
3. Layers. A block's score is the change of the request's loss when it is skipped; the highest move.

Known to us from other people's descriptions, as are the constants (.85, .01, thirds; 8 of 32 layers). SimCSE's
embedding is replaced by the starting model's mean last hidden state, less the mean over retain sequences: raw states of
a causal model all point one way. What the filter leaves out is not trained on at all, and the audit asks for it. The
retain weight is ours: at 1 random labels ruin the retain answers of the laboratory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.seeds import derive
from audit.methods.base import METHODS
from audit.methods.drivers import influence
from audit.methods.drivers.held import held, opened
from audit.methods.edits.reach import demand_retain
from audit.methods.objectives.kl_min import divergence
from audit.methods.objectives.npo import NegativePreference
from audit.methods.objectives.random_labels import RandomLabels
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Batch, Budget, Context, Example, train

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@METHODS.register("fit")
@dataclass(frozen=True)
class ContinualUnlearning:
    """Answer requests in turn, each filtered, by three algorithms, in the layers it depends on most."""

    requests: int = 3  # parts of the forget set, whole subjects in their order; 0: a request per subject
    similarity: float = 0.85  # cosine with an earlier sequence from which one may be redundant, in [-1, 1]
    difference: float = 0.01  # change of the request's loss that keeps it all the same, nats per token, >= 0
    layers: float = 0.25  # share of the blocks in scope that move, rounded up, in [0, 1]; 0 is the identity
    beta: float = 0.1  # inverse temperature of NPO, > 0

    family: ClassVar[str] = "continual"
    source: ClassVar[str] = "arXiv:2601.21682"
    evidence: ClassVar[str] = "experimental"
    cost: ClassVar[float] = 1.2
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_nll", "reference_retain_logits"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 5.0}  # ours, see above
    spends: ClassVar[frozenset[str]] = frozenset(field.name for field in fields(Budget))
    adapts: ClassVar[bool] = True
    stages: ClassVar[tuple[str, ...]] = ("filter", "importance", "layers", "training", "the next request")

    def __post_init__(self) -> None:
        ranges = self.requests >= 0 and abs(self.similarity) <= 1 and 0 <= self.layers <= 1
        if not (ranges and self.difference >= 0 and self.beta > 0):
            raise ValueError(
                "fit needs requests >= 0, similarity in [-1, 1], difference >= 0, layers in [0, 1] and beta > 0, "
                f"got {self.requests}, {self.similarity}, {self.difference}, {self.layers} and {self.beta}"
            )

    def zero(self) -> ContinualUnlearning:
        """Return the driver that moves no layer."""
        return replace(self, layers=0.0)

    def apply(
        self,
        model: LanguageModel,
        forget: Sequence[Example],
        retain: Sequence[Example],
        budget: Budget,
        scope: Scope,
        seed: int,
    ) -> None:
        """Answer the requests in turn; they share ``budget.steps`` evenly. AuditError E222, E267, E269."""
        demand_retain(retain, "fit")
        movable = opened(scope, model, seed)
        queue = self.queue(forget, budget.steps) if self.layers and budget.steps else []
        states = influence.embeddings(model, forget, retain) if queue else {}
        done: list[Example] = []
        for number, (request, steps) in enumerate(queue):
            chosen = self.filtered(request, influence.losses(model, request), states, done)
            done += request
            if not chosen:
                continue  # everything in it was asked for before
            blocks = influence.highest(influence.layer_scores(model, chosen, movable), self.layers)
            objective = Selected(self.beta, thirds(chosen, influence.importance(model, chosen)))
            train(
                model,
                objective,
                chosen,
                retain,
                replace(budget, steps=steps),
                scope=held(influence.matrices(model, blocks) & movable),
                seed=derive(seed, "fit", number),
            )
        model.network.requires_grad_(False)

    def queue(self, forget: Sequence[Example], steps: int) -> list[tuple[list[Example], int]]:
        """Return the requests in order, each with its steps; E222 where there are fewer persons or steps."""
        persons = list(dict.fromkeys(_person(example) for example in forget))
        count = self.refuse_few(len(persons), steps)
        shares = np.diff(np.linspace(0, steps, count + 1).round()).astype(int).tolist()
        groups = [set(part.tolist()) for part in np.array_split(np.array(persons), count)]
        return [([e for e in forget if _person(e) in g], n) for g, n in zip(groups, shares, strict=True)]

    def refuse_few(self, persons: int, steps: int) -> int:
        """Return the number of requests; E222 where there are fewer persons or steps. A plan asks before any training."""
        count = self.requests or persons
        if self.layers and steps and count > min(persons, steps):
            raise AuditError(
                "E222",
                f"fit answers {count} requests, there are {persons} subjects and {steps} steps",
                "give it fewer requests or more steps",
            )
        return count

    def filtered(
        self,
        request: Sequence[Example],
        losses: Mapping[str, tuple[float, int]],
        states: Mapping[str, np.ndarray],
        done: Sequence[Example],
    ) -> list[Example]:
        """Return what is not redundant of a request; ``losses``: key -> answer's nll and tokens."""
        earlier = np.array([states[example.key] for example in done])  # (n, H), unit vectors
        nll, tokens = (sum(losses[e.key][part] for e in request) for part in (0, 1))
        kept = []
        for example in request:
            near = len(done) and float((earlier @ states[example.key]).max()) > self.similarity
            own, length = losses[example.key]
            others = (nll - own) / (tokens - length) if tokens > length else math.inf
            if not near or abs(nll / tokens - others) > self.difference:
                kept.append(example)
        return kept


@dataclass(frozen=True)
class Selected:
    """Each sequence by the algorithm of its third; ``third``: key -> 0 random labels, 1 NPO, 2 NPO with KL."""

    beta: float
    third: Mapping[str, int]

    name: ClassVar[str] = "fit"
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_nll", "reference_retain_logits"})

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over the batch's sequences of their algorithm's forget term, shape ()."""
        npo = NegativePreference(self.beta)
        total = torch.zeros((), device=context.model.device)
        for third, objective in enumerate((RandomLabels(), npo, npo)):
            part = [example for example in batch.examples if self.third[example.key] == third]
            if part:
                share = len(part) / len(batch)
                total = total + share * objective.forget_term(context, context.batch(part))
        return total

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of KL(p0 || p), shape (), nats."""
        return divergence(context, batch)


def thirds(examples: Sequence[Example], importance: np.ndarray) -> dict[str, int]:
    """Return key -> 0, 1 or 2, thirds of equal size by rising importance, shape (n,); an odd one falls low."""
    parts = np.array_split(np.argsort(importance, kind="stable"), 3)
    return {examples[index].key: third for third, part in enumerate(parts) for index in part}


def _person(example: Example) -> str:
    return example.key.partition("/")[0]
