"""TAR, tamper resistance: the forget gradient also counts where a short fine-tuning attack leads.

Tamirisa et al. ICLR 2025, arXiv:2408.00761. Besides the method's own terms, minimise

    weight * mean over the attack's path of -H(theta_k),    theta_k after k steps of fine-tuning on forget answers,

with H the mean entropy of the next-token distributions at answer tokens of sequences the attack did not train
on (as far as there are others), taken every few attack steps; to first order, the gradient at theta_k is
applied at theta. Published: 64 attack steps, every fourth counts, weight 4, attack rates 2e-6 to 4e-5 for
models of 8 billion weights, a safeguard trained before. The default attack is shorter, and its rate is that of
small models. The weights come back bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.core.lazy import lazy
from audit.methods.base import STEPS
from audit.models.training import Batch, Context, Example
from audit.models.update import Update, elsewhere, plus

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@STEPS.register("tar")
@dataclass(frozen=True)
class TamperResistance:
    """Keep the answers uncertain along the path of a fine-tuning attack."""

    weight: float = 4.0  # of the entropy along the path, >= 0; 0 is the plain gradient
    attack_steps: int = 8  # AdamW steps of the attack, >= 1
    every: int = 4  # attack steps between two looks at the entropy, >= 1
    attack_lr: float = 3e-4  # rate of the attack, > 0

    source: ClassVar[str] = "arXiv:2408.00761"
    evidence: ClassVar[str] = "experimental"
    needs: ClassVar[frozenset[str]] = frozenset({"forget"})
    never: ClassVar[str] = "weight is 0"
    gradients: ClassVar[str] = "changed"

    def __post_init__(self) -> None:
        if not (self.weight >= 0 and 1 <= self.every <= self.attack_steps and self.attack_lr > 0):
            raise ValueError(
                f"tar needs weight >= 0, 1 <= every <= attack_steps and attack_lr > 0, got {self.weight}, "
                f"{self.every}, {self.attack_steps} and {self.attack_lr}"
            )

    @property
    def cost(self) -> float:
        """The plain step, and one forget gradient per attack step and per look."""
        return 1 + (self.attack_steps + self.attack_steps // self.every) / 2

    def transform(
        self, update: Update, forget: list[Tensor], retain: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the forget gradient plus weight times that of -H, averaged over the looks."""
        context = update.context
        if not self.weight or context.forget is None:
            return forget, retain
        looks = self.attack_steps // self.every
        train, held_out = _attackers(context), context.forget
        with elsewhere(update):
            attack = torch.optim.AdamW(update.weights.values(), lr=self.attack_lr, weight_decay=0.0)
            for step in range(1, self.attack_steps + 1):
                taught = update.gradient_of(lambda: context.mean_nll(train))
                for weight, slope in zip(update.weights.values(), taught, strict=True):
                    weight.grad = slope
                attack.step()
                if step % self.every == 0:
                    slope = update.gradient_of(lambda: -entropy(context, held_out))
                    forget = plus(forget, self.weight / looks, slope)
            attack.zero_grad(set_to_none=True)
        return forget, retain


def entropy(context: Context, batch: Batch) -> Tensor:
    """Return the mean entropy of the next-token distributions at answer tokens, shape (), nats."""
    logp = context.answer_logits(batch)[0].log_softmax(-1)  # (N, V)
    return -(logp.exp() * logp).sum(-1).mean()


def _attackers(context: Context) -> Batch:
    """Return as many forget sequences as the step's, others where there are others."""
    assert context.forget is not None
    ours = set(context.forget.keys)
    others: list[Example] = [e for e in context.forget_examples if e.key not in ours]
    pool = others or list(context.forget_examples)
    order = torch.randperm(len(pool), generator=context.generator("tar")).tolist()
    return context.batch([pool[i] for i in order[: len(context.forget)]])
