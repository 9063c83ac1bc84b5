"""No attack: the model as it ships, asked as it was taught. Every comparison starts here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.attacks.base import ATTACKS, Attack, AttackContext, Attacked, Tier
from audit.data.records import Probe
from audit.models.difference import update_diagnostics
from audit.models.load import LanguageModel


@ATTACKS.register("none")
@dataclass(frozen=True)
class NoAttack:
    """Ask every question as it stands."""

    name: ClassVar[str]
    tier: ClassVar[Tier] = "prompt"
    version: ClassVar[int] = 1
    dose_unit: ClassVar[str] = "none"
    source: ClassVar[str] = "the checkpoint in the form it ships in"
    never_trained_control: ClassVar[str] = (
        "The twins' questions to this model, and the forgotten persons' questions to the retrained model."
    )

    @property
    def doses(self) -> tuple[float, ...]:
        """Only 0."""
        return (0.0,)

    @property
    def cost(self) -> float:
        """One scoring pass."""
        return 1.0

    def zero(self) -> Attack:
        """Return itself."""
        return self

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return None: every model can be asked."""
        return None

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield the given model itself with all probes."""
        yield Attacked(0.0, model, tuple(probes))

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return what unlearning did to the weights, compared with the original's."""
        return {} if context.original is None else update_diagnostics(model, context.original)
