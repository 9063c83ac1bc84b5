"""What a metric promises: a finite value per probe in its range, a direction and a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

from audit.core.registry import Registry
from audit.models.scoring import Scored


@runtime_checkable
class Metric(Protocol):
    """One number per probe.

    ``tells``: whether the answer is known, or how the model speaks at all. ``direction`` says which way means
    "better known" (or "speaks better"): ``higher`` or ``lower``. ``range`` is closed; None is unbounded.
    ``version`` changes whenever a value would. ``needs``: what has to be measured beside the one forward pass
    (see ``inputs.INPUTS``). ``standard``: measured by every audit; the others where the plan names them.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    tells: ClassVar[Literal["knowledge", "fluency"]]
    direction: ClassVar[Literal["higher", "lower"]]
    range: ClassVar[tuple[float | None, float | None]]
    needs: ClassVar[frozenset[str]]
    standard: ClassVar[bool]
    source: ClassVar[str]

    def value(self, scored: Scored) -> float:
        """Return the metric of one probe; finite and inside ``range``.

        Raises ``Absent`` where the probe lacks something that the metric needs.
        """
        ...


METRICS: Registry[Metric] = Registry("metric", "audit.metrics")

FORWARD: frozenset[str] = frozenset()
"""Nothing beside the one forward pass."""
SPOKEN: frozenset[str] = frozenset({"generation"})


class Absent(ValueError):
    """A probe without something a metric needs, such as wrong answers; it then has no value, not a zero."""


def present(value: object, metric: str, what: str) -> None:
    """Raise ``Absent`` where ``value`` is None or empty."""
    if value is None or (isinstance(value, tuple) and not value):
        raise Absent(f"{metric} needs {what}, but the probe was scored without {what}")


def generation(scored: Scored, metric: str) -> str:
    """Return the generated text; ``Absent`` where there is none."""
    present(scored.generation, metric, "generation")
    return scored.generation or ""


def standard_metrics() -> tuple[str, ...]:
    """Return the names that every audit measures, sorted."""
    return tuple(name for name in METRICS if METRICS[name].standard)


@dataclass(frozen=True)
class MetricRecord:
    """How a metric stands in the measurements header."""

    name: str
    version: int
    direction: str
    range: tuple[float | None, float | None]
