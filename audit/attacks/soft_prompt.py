"""Soft prompt: continuous tokens in front of the question, optimised until the model answers.

Schwinn et al. 2024, arXiv:2402.09063. One to ten such tokens make a model say almost any string (Rando et al. 2025,
arXiv:2502.15836): a prompt optimised for the very answer proves nothing and stands outside the bound. The twins, whose
answers are random strings of the same form, get prompts of their own with the same effort; where they come back as often,
the count says nothing about memory. One prompt for all, cross-fitted like relearning, stands outside too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, repeat
from typing import TYPE_CHECKING, ClassVar

from audit.attacks import optimised
from audit.attacks.base import ATTACKS, Attack, AttackContext, Attacked, Tier
from audit.attacks.optimised import BOTH_HALVES, PASS_SEQUENCES, Target
from audit.attacks.soft import Prompted, descend, has_room, initial, prompted, scale, softened
from audit.core.lazy import lazy
from audit.core.seeds import derive, generator
from audit.data.records import Probe
from audit.models.load import LanguageModel
from audit.models.scoring import BATCH_TOKENS, buckets
from audit.models.training import Example

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

_BACKWARD = 3  # forward-equivalents of a forward and a backward pass


@ATTACKS.register("soft_prompt")
@dataclass(frozen=True)
class SoftPrompt:
    """Optimise continuous tokens in front of the question with Adam.

    ``steps``: Adam's steps after which it is asked, ascending; at 0 there are no tokens. ``tokens``: how many.
    ``lr``: Adam's rate, in root mean squares of the embedding matrix. ``batch``: sequences a step of a prompt for all.
    ``target``: own (each question's own answer), persons (the other half's; one prompt for all). Outside the bound both.
    ``seed``: other first vectors, which are drawn from the embedding matrix.
    """

    steps: tuple[int, ...] = (5, 20)
    tokens: int = 4
    lr: float = 0.3
    batch: int = 32
    target: Target = "own"
    seed: int = 0

    name: ClassVar[str]
    tier: ClassVar[Tier] = "weights"
    version: ClassVar[int] = 1
    dose_unit: ClassVar[str] = "steps"
    source: ClassVar[str] = "Schwinn et al. 2024, arXiv:2402.09063; Rando et al. 2025, arXiv:2502.15836"
    never_trained_control: ClassVar[str] = (
        "Twins, whose answers are random strings of the same form, get soft prompts found in the same way, and so "
        "does everybody on the retrained model."
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", optimised.ascending(self.steps))
        for field in ("tokens", "batch"):
            optimised.whole(field, getattr(self, field))
        if isinstance(self.lr, bool) or not 0 < self.lr < float("inf"):
            raise ValueError(f"lr must be a positive number, got {self.lr!r}")
        optimised.check_target(self.target)

    @property
    def doses(self) -> tuple[float, ...]:
        """The numbers of steps."""
        return tuple(map(float, self.steps))

    @property
    def injects(self) -> bool:
        """Whether what is asked may have been put in: continuous tokens carry enough to say almost anything."""
        return True

    @property
    def _is_own(self) -> bool:
        return self.target == "own"

    @property
    def cost(self) -> float:
        """One scoring pass a dose; every step a forward and a backward pass over all questions, or over a batch."""
        if self._is_own:
            return len(self.steps) + _BACKWARD * self.steps[-1]
        return BOTH_HALVES * (len(self.steps) + _BACKWARD * self.steps[-1] * self.batch / PASS_SEQUENCES)

    def zero(self) -> Attack:
        """Return the attack without soft tokens."""
        return replace(self, steps=(0,))

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return None: every model has embeddings."""
        return None

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield the given network with soft tokens and the questions that fit its context behind them.

        The tokens are there until the next item is asked for: score first.
        """
        room = [p for p in probes if has_room(model, p.question, p.answer, self.tokens)]
        seed = derive(context.seed, self.name, self.seed)
        if self._is_own:
            rows = {question: row for row, question in enumerate(sorted({p.question for p in room}))}
            learned = self._own(model, room, rows, seed)
            yield from self._asked(model, probes, room, rows, learned, fold=0)
            return
        for arm in optimised.halves(probes, context):
            asked = set(arm.asked)
            fits = [p for p in room if p in asked]
            learned = self._universal(model, arm.examples, derive(seed, arm.fold))
            yield from self._asked(model, arm.asked, fits, None, learned, fold=arm.fold)

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return nothing: the weights are as they were."""
        return {}

    def _asked(
        self,
        model: LanguageModel,
        plain: Sequence[Probe],
        fits: Sequence[Probe],
        rows: Mapping[str, int] | None,
        learned: Sequence[Tensor],
        fold: int,
    ) -> Iterator[Attacked]:
        for step, vectors in zip(self.steps, learned, strict=True):
            if step == 0:
                yield Attacked(0.0, model, tuple(plain), fold)
                continue
            told = tuple(replace(p, form=self.name) for p in fits)
            with softened(model.network, vectors):
                yield Attacked(float(step), prompted(model, self.tokens, rows), told, fold)

    def _own(
        self, model: LanguageModel, probes: Sequence[Probe], rows: Mapping[str, int], seed: int
    ) -> list[Tensor]:
        """Return the vectors of all questions at every dose, shape (questions * tokens, H)."""
        first = torch.cat([initial(model, self.tokens, generator(seed, question)) for question in rows])
        learned = [first.clone() for _ in self.steps]
        for part in _batches(model, probes, self.tokens):
            here = {question: row for row, question in enumerate(dict.fromkeys(one.question for one in part))}
            places = torch.tensor([rows[q] * self.tokens + i for q in here for i in range(self.tokens)])
            found = self._trajectory(model, prompted(model, self.tokens, here), first[places], repeat(part))
            for whole, own in zip(learned, found, strict=True):
                whole[places] = own
        return learned

    def _universal(self, model: LanguageModel, examples: Sequence[Example], seed: int) -> list[Tensor]:
        """Return one prompt's vectors at every dose, shape (tokens, H)."""
        random = generator(seed, "batches")
        fits = [one for one in examples if has_room(model, one.question, one.answer, self.tokens)]
        batches = iter(lambda: optimised.some(fits, self.batch, random), None)
        own = prompted(model, self.tokens, None)
        return self._trajectory(model, own, initial(model, self.tokens, generator(seed, "first")), batches)

    def _trajectory(
        self, model: LanguageModel, own: Prompted, first: Tensor, batches: Iterator[Sequence[Example]]
    ) -> list[Tensor]:
        """Return the vectors at every dose."""
        passed = list(islice(descend(own, first, batches, self.lr * scale(model)), self.steps[-1] + 1))
        return [passed[step] for step in self.steps]


def _batches(model: LanguageModel, probes: Sequence[Probe], tokens: int) -> Iterator[list[Example]]:
    """Yield all probes as sequences of similar length, those of one question together.

    In an order of their own, whatever came first: Adam's first step turns rounding errors into signs.
    """
    asked: dict[str, list[Example]] = {}
    for probe in sorted(probes, key=lambda p: (p.question, p.subject, p.probe)):
        asked.setdefault(probe.question, []).append(optimised.example(probe))
    groups = list(asked.values())
    lengths = [
        sum(len(model.encode(one.question, one.answer).ids) + tokens for one in group) for group in groups
    ]
    for chosen in buckets(lengths, BATCH_TOKENS[model.device.type]):
        yield [one for i in chosen for one in groups[i]]
