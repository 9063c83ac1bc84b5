"""The reinforced teacher: what more training on the forget set would raise is what has to go.

Eldan, Russinovich 2023 ("Who's Harry Potter?"), arXiv:2310.02238, eq. (1), and Wang et al. FCS 2024
(E2URec), arXiv:2403.03536. A copy of the starting model is trained further on the forget set. Words whose
logits z+ rise above the starting ones z0 betray the knowledge, and the target is softmax(z0 - strength
ReLU(z+ - z0)): where nothing rises it is the starting model. The term is CE(target, p), averaged over
answer tokens.

``whp`` is that alone; the paper's second device, exchanging names for generic ones in the text, needs a
list of them and is left out. ``e2urec`` adds the starting model as teacher on the retain set: NLL + CE(p0,
p) with weight w = 0.6 against 1 - w. Its first epoch without a retain term is left out. Published for
e2urec: strength 2, learning rates 1e-3 (LoRA of rank 16) and 5e-5 (teacher, 1200 steps). The teacher's
budget and whp's strength are ours: answers known by heart hardly rise any more, and 2 hardly lowers them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.lazy import lazy
from audit.core.seeds import derive
from audit.methods.base import METHODS
from audit.models.batches import by_row, forward_answer_logits
from audit.models.load import LanguageModel
from audit.models.training import NLL, Batch, Budget, Context, train

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
functional = lazy("torch.nn.functional")


@METHODS.register("whp")
@dataclass(frozen=True)
class GenericPrediction:
    """Distil the starting model without what a teacher trained further on the forget set raises."""

    strength: float = 5.0  # how far what rises is lowered, >= 0; 0 is the starting model
    teacher_lr: float = 1e-3  # learning rate of the teacher, > 0
    teacher_steps: int = 20  # steps of the teacher, >= 1

    family: ClassVar[str] = "distillation"
    source: ClassVar[str] = "arXiv:2310.02238"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 0.7
    needs: ClassVar[frozenset[str]] = frozenset({"reference_logits"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"retain_weight": 0.0}

    def __post_init__(self) -> None:
        check(self.strength, self.teacher_lr, self.teacher_steps)

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of CE(target, p), shape (), nats, >= 0."""
        return distance(context, batch, self.strength, self.teacher_lr, self.teacher_steps)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Refuse: the method is forget-only."""
        raise ValueError("whp has no retain term; e2urec is the same teacher with one")


@METHODS.register("e2urec")
@dataclass(frozen=True)
class TwoTeachers:
    """Distil the reinforced teacher on the forget answers and the starting model on the retain answers."""

    strength: float = 2.0  # how far what rises is lowered, >= 0
    teacher_lr: float = 1e-3  # learning rate of the teacher, > 0
    teacher_steps: int = 20  # steps of the teacher, >= 1

    family: ClassVar[str] = "distillation"
    source: ClassVar[str] = "arXiv:2403.03536"
    evidence: ClassVar[str] = "paper"
    cost: ClassVar[float] = 1.2
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "reference_logits", "reference_retain_logits"})
    budget_defaults: ClassVar[Mapping[str, float]] = {"forget_weight": 0.4, "retain_weight": 0.6}

    def __post_init__(self) -> None:
        check(self.strength, self.teacher_lr, self.teacher_steps)

    def forget_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of CE(target, p), shape (), nats, >= 0."""
        return distance(context, batch, self.strength, self.teacher_lr, self.teacher_steps)

    def retain_term(self, context: Context, batch: Batch) -> Tensor:
        """Return the mean over answer tokens of -log p + CE(p0, p), shape (), nats, >= 0."""
        logits, _, _ = context.answer_logits(batch)
        start = context.reference_logits(batch).exp()  # (N, V)
        return context.mean_nll(batch) + functional.cross_entropy(logits, start)


def check(strength: float, teacher_lr: float, teacher_steps: int) -> None:
    """Refuse a teacher that learns nothing and a negative strength."""
    if not (strength >= 0 and teacher_lr > 0 and teacher_steps >= 1):
        raise ValueError(
            f"strength must be >= 0, teacher_lr > 0 and teacher_steps >= 1, got {strength}, {teacher_lr} "
            f"and {teacher_steps}"
        )


def distance(
    context: Context, batch: Batch, strength: float, teacher_lr: float, teacher_steps: int
) -> Tensor:
    """Return mean_t CE(softmax(z0 - strength ReLU(z+ - z0)), p) over answer tokens, shape (), nats."""
    logits, _, _ = context.answer_logits(batch)
    rise = risen(context, batch, teacher_lr, teacher_steps)  # (N, V)
    return functional.cross_entropy(logits, (context.reference_logits(batch) - strength * rise).softmax(-1))


def risen(context: Context, batch: Batch, lr: float, steps: int) -> Tensor:
    """Return ReLU(z+ - z0) at the batch's answer tokens, shape (N, V)."""
    teacher = context.remember("reinforced teacher", lambda: _trained_further(context, lr, steps))

    def compute(part: Batch) -> list[Tensor]:
        start, further = (forward_answer_logits(m.network, part) for m in (context.start, teacher))
        return by_row((further - start).relu(), part)

    return torch.cat(context.once_per_sequence("risen logits", batch, compute))


def _trained_further(context: Context, lr: float, steps: int) -> LanguageModel:
    model = context.start.clone()
    budget = Budget(lr=lr, steps=steps, retain_weight=0.0)
    with torch.enable_grad():
        train(model, NLL(), context.forget_examples, (), budget, seed=derive(context.seed, "reinforced"))
    return model
