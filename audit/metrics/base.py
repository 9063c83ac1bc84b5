"""What a metric promises: a finite value per probe in its range, a direction and a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

from audit.core.registry import Registry
from audit.models.scoring import Scored


@runtime_checkable
class Metric(Protocol):
    """One number per probe.

    ``direction`` says which way means "better known": ``higher`` or ``lower``. ``range`` is closed; None is
    unbounded. ``version`` changes whenever a value would. ``needs_generation``: computed from generated text.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    direction: ClassVar[Literal["higher", "lower"]]
    range: ClassVar[tuple[float | None, float | None]]
    needs_generation: ClassVar[bool]
    source: ClassVar[str]

    def value(self, scored: Scored) -> float:
        """Return the metric of one probe; finite and inside ``range``."""
        ...


METRICS: Registry[Metric] = Registry("metric", "audit.metrics")


@dataclass(frozen=True)
class MetricRecord:
    """How a metric stands in the measurements header."""

    name: str
    version: int
    direction: str
    range: tuple[float | None, float | None]
