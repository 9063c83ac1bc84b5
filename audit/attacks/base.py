"""What an attack promises.

``apply`` yields attacked models and questions; ``runs`` scores them. At dose 0 the values equal those without
an attack, the same seed gives the same values, and the given model is bit-identical when the iterator is
exhausted or closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, runtime_checkable

from audit.core.registry import Registry
from audit.data.records import Probe, Subject
from audit.models.load import LanguageModel
from audit.models.scoring import Decoding

Tier = Literal["prompt", "sampling", "weights", "finetune"]
TIERS: tuple[Tier, ...] = ("prompt", "sampling", "weights", "finetune")


@dataclass(frozen=True)
class AttackContext:
    """What the attacker holds.

    Attributes
    ----------
    seed: every random choice derives from it.
    forget: the whole forget list, in order; a finetuning attacker may train on one half of it.
    halves: subject -> 1 | 2, the cross-fitting halves.
    original: the model before unlearning, for diagnostics only; None where it is not at hand.
    retain: the whole retain list, in order: text on which a deployer would calibrate, questions to compare with.

    """

    seed: int
    forget: Sequence[Subject] = ()
    halves: Mapping[str, int] = field(default_factory=dict)
    original: LanguageModel | None = None
    retain: Sequence[Subject] = ()


@dataclass(frozen=True)
class Attacked:
    """One attacked model and the probes that may be scored on it.

    ``fold`` is 0, or the half whose forget subjects were held out of this model's training; ``probes`` then
    holds the forget probes of that half only, and every probe of the other sides.
    """

    dose: float
    model: LanguageModel
    probes: Sequence[Probe]
    fold: int = 0
    decoding: Decoding | None = None


@runtime_checkable
class Attack(Protocol):
    """A frozen attack; prints as its own constructor (``audit.core.registry.canonical``).

    ``dose_unit`` names the unit of ``dose`` (``steps``, ``bits``, ``wordings``). ``doses`` are the doses that
    ``apply`` yields. ``never_trained_control`` says in one sentence what shows the attack's effect on a model
    that never knew. ``cost`` is in forward-equivalents of one scoring pass. ``version`` enters the job key.
    An attack that draws several answers per question has a property ``samples`` (see ``samples_of``), one that
    puts in what it asks for a property ``injects`` (see ``injects``); one that asks for something else than the
    probe's answer names it in ``asks_for`` and injects too.
    """

    name: ClassVar[str]
    tier: ClassVar[Tier]
    version: ClassVar[int]
    dose_unit: ClassVar[str]
    source: ClassVar[str]
    never_trained_control: ClassVar[str]

    @property
    def doses(self) -> tuple[float, ...]:
        """Doses that ``apply`` yields, ascending."""
        ...

    @property
    def cost(self) -> float:
        """Cost of all doses in forward-equivalents of one scoring pass (``none`` = 1)."""
        ...

    def zero(self) -> Attack | None:
        """Return this attack without any budget: its only dose is 0 and its values are those of ``none``.

        None if there is no such thing (there is no 4-bit model that changes nothing); the attack is then a
        projection: applied to what it yields, it changes nothing more.
        """
        ...

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return why this attack has no meaning for ``model`` (``no adapter``), or None.

        With ``probes`` it also says when none of them can be asked (``no paraphrases``).
        """
        ...

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield attacked models with the probes to score, doses ascending within a fold."""
        ...

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return numbers about what the attack did (share of 4-bit codes changed), possibly none."""
        ...


def samples_of(attack: Attack) -> int:
    """Return how many answers are drawn per question: chances to guess a secret."""
    return int(getattr(attack, "samples", 1))


def injects(attack: Attack) -> bool:
    """Return whether the attack puts in what it asks for: an upper envelope, never part of the bound."""
    return bool(getattr(attack, "injects", False))


ATTACKS: Registry[Attack] = Registry("attack", "audit.attacks", "audit.attacks.prompts")
