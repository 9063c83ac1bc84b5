"""Relearning: fine-tune on half of the forgotten persons and ask about the other half.

Deeb and Roger 2024, arXiv:2410.08827 (train on some facts, test on disjoint ones); cf. Hu et al. 2024,
arXiv:2406.13356. What returns about persons the attacker never showed was still in the weights. Both halves
take their turn, so each person has one value, taken while not in the attacker's hands. Recovery can peak
early, hence several doses along one trajectory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from audit.attacks.arms import ARMS
from audit.attacks.base import ATTACKS, Attack, AttackContext, Attacked, Tier
from audit.attacks.optimised import PASS_SEQUENCES, ascending
from audit.core.lazy import lazy
from audit.core.seeds import derive
from audit.data.records import Probe
from audit.models.load import LanguageModel
from audit.models.scope import parse_scope
from audit.models.training import NLL, Budget, Context, Example, train

torch = lazy("torch")


@ATTACKS.register("relearn")
@dataclass(frozen=True)
class Relearn:
    """Fine-tune with AdamW, no retain data, and ask what was not shown.

    ``steps``: optimizer steps after which the model is measured, ascending; 0 is the untrained copy.
    ``lr``: constant learning rate. ``batch``: sequences a step.
    ``scope``: weights that move (all, lora(8), …).
    ``arm``: what is trained on: persons (the other half of the forget list), attributes (other questions about
    the same persons), syntax (the same questions about nobody), unrelated (sums), own (the very answers: an
    upper envelope outside the bound).
    ``seed``: another order of the training sequences.
    An adapter is merged first: whoever holds the weights can do so.
    """

    steps: tuple[int, ...] = (5, 10, 25)
    lr: float = 3e-4
    batch: int = 32
    scope: str = "all"
    arm: Literal["persons", "attributes", "syntax", "unrelated", "own"] = "persons"
    seed: int = 0

    name: ClassVar[str]
    tier: ClassVar[Tier] = "finetune"
    version: ClassVar[int] = 2
    dose_unit: ClassVar[str] = "steps"
    source: ClassVar[str] = "Deeb and Roger 2024, arXiv:2410.08827; Hu et al. 2024, arXiv:2406.13356"
    never_trained_control: ClassVar[str] = (
        "Twins are asked in both folds of every relearned model, and the retrained model is relearned on the "
        "same halves: what they show too is learned style and guessing."
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", ascending(self.steps))
        object.__setattr__(self, "scope", str(parse_scope(self.scope)))
        Budget(lr=self.lr, batch=self.batch)  # refuses impossible values
        if self.arm not in ARMS:
            raise ValueError(f"arm must be one of {', '.join(ARMS)}, got {self.arm!r}")

    @property
    def doses(self) -> tuple[float, ...]:
        """The numbers of steps."""
        return tuple(map(float, self.steps))

    @property
    def injects(self) -> bool:
        """Whether what is asked was put in: then nothing follows about what was left."""
        return self.arm == "own"

    @property
    def own_only(self) -> bool:
        """Whether only forgotten persons are asked: twins would have to be trained on to be compared."""
        return self.arm == "attributes"

    @property
    def cost(self) -> float:
        """One scoring pass a dose and training, three forward-equivalents a sequence; twice with two folds."""
        trainings = 2 if self.arm in ("persons", "attributes") else 1
        return trainings * (len(self.steps) + 3 * self.steps[-1] * self.batch / PASS_SEQUENCES)

    def zero(self) -> Attack:
        """Return the attack that trains no step."""
        return replace(self, steps=(0,))

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return None: every model can be trained."""
        return None

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield one trajectory a training; of two folds, fold 1 holds out half 1 and trains on half 2.

        All items of a training share one network, which moves on when the next item is asked for: score first.
        """
        for number, (fold, examples, asked) in enumerate(
            ARMS[self.arm](probes, context, derive(context.seed, self.name, "arm"))
        ):
            if not asked:
                continue
            seed = derive(context.seed, self.name, fold or number, *([self.seed] if self.seed else []))
            for dose, attacked in self._trajectory(model, examples, seed):
                yield Attacked(dose, attacked, asked, fold)

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return nothing."""
        return {}

    def _trajectory(
        self, model: LanguageModel, examples: Sequence[Example], seed: int
    ) -> Iterator[tuple[float, LanguageModel]]:
        if self.steps[0] == 0:
            yield 0.0, model.clone()
        doses = [step for step in self.steps if step > 0]
        if not doses:
            return
        copy, passed = model.merged(), _Passed(frozenset(doses))
        budget = Budget(lr=self.lr, steps=doses[-1], batch=self.batch, retain_weight=0.0)
        train(
            copy,
            NLL(),
            examples,
            (),
            budget,
            scope=parse_scope(self.scope),
            seed=seed,
            callbacks=[passed],
        )
        for dose in doses:
            passed.restore(copy, dose)
            yield float(dose), copy


@dataclass
class _Passed:
    """Keeps the moving weights at the wanted steps, in main memory, so that one training serves all doses."""

    steps: frozenset[int]
    kept: dict[int, dict[str, Any]] = field(default_factory=dict)

    def after_step(self, context: Context) -> bool:
        """Keep the weights if this step is wanted; never stops the run."""
        done = context.step + 1
        if done in self.steps:
            moving = context.model.network.named_parameters()
            self.kept[done] = {name: p.detach().to("cpu", copy=True) for name, p in moving if p.requires_grad}
        return False

    def restore(self, model: LanguageModel, step: int) -> None:
        """Put the weights of ``step`` back and forget them."""
        weights = dict(model.network.named_parameters())
        with torch.no_grad():
            for name, value in self.kept.pop(step).items():
                weights[name].copy_(value)
