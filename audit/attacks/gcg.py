"""GCG: a suffix found by gradient, put behind every question.

Zou et al. 2023, arXiv:2307.15043; on unlearned models Łucki et al. 2024, arXiv:2409.18025. Anybody can type the suffix;
finding it took the weights. Universal and cross-fitted it stands inside the bound: it is found on the answers of one
half of the forgotten persons and put to the other half. One suffix for each question's own answer is an upper envelope.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar

import numpy as np

from audit.attacks import optimised
from audit.attacks.base import ATTACKS, Attack, AttackContext, Attacked, Tier
from audit.attacks.optimised import BOTH_HALVES, PASS_SEQUENCES, Target
from audit.attacks.suffix import Swaps, alphabet, behind, search
from audit.core.seeds import derive, generator
from audit.data.records import Probe
from audit.models.load import LanguageModel
from audit.models.training import Example

_BACKWARD = 3  # forward-equivalents of a forward and a backward pass


@ATTACKS.register("gcg")
@dataclass(frozen=True)
class Gcg:
    """Find a suffix by greedy coordinate gradient and put it behind the question.

    ``steps``: swaps after which it is asked, ascending; at 0 there is no suffix. ``length``: its tokens.
    ``candidates``: swaps tried a step, drawn from the ``top`` steepest tokens of each place.
    ``shown``: questions whose answers it is found on.
    ``target``: persons (the other half's; universal), own (each question's own answer: outside the bound).
    ``seed``: other draws. The paper's own numbers are 500 steps, 20 tokens, 512 candidates of 256 tokens.
    """

    steps: tuple[int, ...] = (5, 10)
    length: int = 6
    candidates: int = 16
    top: int = 64
    shown: int = 8
    target: Target = "persons"
    seed: int = 0

    name: ClassVar[str]
    tier: ClassVar[Tier] = "prompt"
    version: ClassVar[int] = 1
    dose_unit: ClassVar[str] = "steps"
    source: ClassVar[str] = "Zou et al. 2023, arXiv:2307.15043; Łucki et al. 2024, arXiv:2409.18025"
    never_trained_control: ClassVar[str] = (
        "Twins are asked with the same suffixes, or with suffixes found for their own answers where the target is "
        "own, and the retrained model gets suffixes found on itself."
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", optimised.ascending(self.steps))
        for field in ("length", "candidates", "top", "shown"):
            optimised.whole(field, getattr(self, field))
        optimised.check_target(self.target)

    @property
    def doses(self) -> tuple[float, ...]:
        """The numbers of steps."""
        return tuple(map(float, self.steps))

    @property
    def injects(self) -> bool:
        """Whether the suffix was found on the answer it asks for."""
        return self.target == "own"

    @property
    def cost(self) -> float:
        """One scoring pass a dose and, every step, one backward pass and ``candidates`` forward ones on what is shown."""
        a_step = _BACKWARD + self.candidates
        if self.injects:
            return len(self.steps) + self.steps[-1] * a_step
        return BOTH_HALVES * (len(self.steps) + self.steps[-1] * a_step * self.shown / PASS_SEQUENCES)

    def zero(self) -> Attack:
        """Return the attack without a suffix."""
        return replace(self, steps=(0,))

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return None: every model can be asked."""
        return None

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield the given model itself with the questions that fit its context with the suffix behind them."""
        tokens = alphabet(model) if self.steps[-1] else np.zeros(0, dtype=np.int64)
        seed = derive(context.seed, self.name, self.seed)
        if self.injects:
            own = {(p.subject, p.probe): self._own(model, p, tokens, seed) for p in probes}
            for place, dose in enumerate(self.steps):
                told = [_asked(model, p, own[p.subject, p.probe][place]) for p in probes]
                yield Attacked(float(dose), model, tuple(p for p in told if p))
            return
        for arm in optimised.halves(probes, context):
            random = generator(seed, "fold", arm.fold)
            shown = optimised.some(arm.examples, self.shown, random)
            for dose, suffix in zip(self.steps, self._suffixes(model, shown, tokens, random), strict=True):
                told = [_asked(model, p, suffix) for p in arm.asked]
                yield Attacked(float(dose), model, tuple(p for p in told if p), arm.fold)

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return nothing: the weights are as they were."""
        return {}

    def _own(self, model: LanguageModel, probe: Probe, tokens: np.ndarray, seed: int) -> list[str]:
        random = generator(seed, probe.subject, probe.probe)
        return self._suffixes(model, [optimised.example(probe)], tokens, random)

    def _suffixes(
        self, model: LanguageModel, shown: Sequence[Example], tokens: np.ndarray, random: np.random.Generator
    ) -> list[str]:
        """Return the suffix at every dose; empty at 0 steps."""
        last = self.steps[-1]
        if last == 0:
            return [""]
        swaps = Swaps(self.length, self.candidates, self.top)
        passed = list(islice(search(model, shown, swaps, tokens, random), last + 1))
        return [passed[step] if step else "" for step in self.steps]


def _asked(model: LanguageModel, probe: Probe, suffix: str) -> Probe | None:
    """Return the probe with the suffix, as it is without one, and None where it no longer fits the context."""
    if not suffix:
        return probe
    question = behind(probe.question, suffix)
    return replace(probe, question=question, form="gcg") if model.fits(question, probe.answer) else None
