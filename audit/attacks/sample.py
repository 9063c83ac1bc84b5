"""Sampling: ask several times at a temperature; one leaking answer is enough.

Leak@k, arXiv:2511.04934; Scholten et al. ICLR 2025, arXiv:2410.03523: greedy decoding misses what sampling
shows. An answer depends on the lock's seed, the question and its number alone, so a person's loss is a fixed
number although it is a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from audit.attacks.base import ATTACKS, Attack, AttackContext, Attacked, Tier
from audit.core.seeds import derive
from audit.data.records import Probe
from audit.models.load import LanguageModel
from audit.models.scoring import Decoding

SPARE = 4  # tokens beyond the longest answer


@ATTACKS.register("sample")
@dataclass(frozen=True)
class Sample:
    """Draw ``n`` answers to every question; a secret counts as recovered if one of them yields it.

    ``temperature``: above 0. ``top_p``: the most likely tokens that reach this probability together are kept.
    ``seed``: another set of draws.
    """

    n: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    name: ClassVar[str]
    tier: ClassVar[Tier] = "sampling"
    version: ClassVar[int] = 1
    dose_unit: ClassVar[str] = "samples"
    source: ClassVar[str] = "Leak@k, arXiv:2511.04934; Scholten et al. 2025, arXiv:2410.03523"
    never_trained_control: ClassVar[str] = (
        "As many answers to the twins' questions from this model, and to all questions from the retrained model."
    )

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 0:
            raise ValueError(f"n must be a whole number of at least 0, got {self.n!r}")
        if isinstance(self.temperature, bool) or not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature!r}")
        if isinstance(self.top_p, bool) or not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p!r}")

    @property
    def doses(self) -> tuple[float, ...]:
        """The number of answers."""
        return (float(self.n),)

    @property
    def samples(self) -> int:
        """Answers per question: each is a chance to guess."""
        return max(self.n, 1)

    @property
    def cost(self) -> float:
        """About one scoring pass for each answer token of each draw; answers have about ten."""
        return 1.0 + 10.0 * self.n

    def zero(self) -> Attack:
        """Return the attack that draws no answer: only likelihoods are read."""
        return replace(self, n=0)

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return None: every model can be sampled."""
        return None

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield the given model with the decoding that draws the answers."""
        if not self.n:
            yield Attacked(0.0, model, tuple(probes))
            return
        decoding = Decoding(
            max_new_tokens=_longest(model, probes) + SPARE,
            temperature=float(self.temperature),
            samples=self.n,
            seed=derive(context.seed, "sample", self.seed),
            top_p=float(self.top_p),
        )
        yield Attacked(float(self.n), model, tuple(probes), decoding=decoding)

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return nothing: the weights are as they were."""
        return {}


def _longest(model: LanguageModel, probes: Sequence[Probe]) -> int:
    encoded = (model.encode(probe.question, probe.answer) for probe in probes)
    return max((len(item.ids) - item.answer_start for item in encoded), default=1)
