"""What attacks on weights share whose doses are settings of one dial: 0 changes nothing, more changes more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar, Self

from audit.attacks.base import AttackContext
from audit.data.records import Probe
from audit.models.load import LanguageModel


class Dialled:
    """A mixin for attacks with a field named ``dial``: ascending numbers from 0 to ``most``, each one dose."""

    dial: ClassVar[str]
    most: ClassVar[float]

    def check_dial(self) -> None:
        """Turn the field into a tuple of floats; ValueError for impossible or unsorted settings."""
        given: Any = getattr(self, self.dial)
        settings = tuple(given) if isinstance(given, list | tuple) else (given,)
        possible = (
            isinstance(s, int | float) and not isinstance(s, bool) and 0 <= s <= self.most for s in settings
        )
        if not settings or not all(possible):
            raise ValueError(f"{self.dial} must be numbers in [0, {self.most:g}], got {given!r}")
        if any(later <= earlier for earlier, later in pairwise(settings)):
            raise ValueError(f"{self.dial} must ascend, got {list(settings)}")
        object.__setattr__(self, self.dial, tuple(map(float, settings)))

    @property
    def doses(self) -> tuple[float, ...]:
        """The settings of the dial."""
        return getattr(self, self.dial)

    @property
    def cost(self) -> float:
        """One scoring pass a setting."""
        return float(len(self.doses))

    def zero(self) -> Self:
        """Return the attack that changes nothing."""
        return replace(self, **{self.dial: (0.0,)})  # type: ignore[type-var]

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return None: every model has weights."""
        return None

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return nothing."""
        return {}
