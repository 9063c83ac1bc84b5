"""What an aggregate promises: the benchmark's own numbers from per-probe values, or a coded error.

None of them decides anything here. They are what papers print, so that an audit can be read beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np

from audit.core.errors import AuditError
from audit.core.registry import Registry

Scores: TypeAlias = Mapping[str, np.ndarray]
"""Per-probe values by input name."""


@dataclass(frozen=True)
class Input:
    """One input: what its values are, and the closed range they lie in (None: unbounded)."""

    about: str
    low: float | None = None
    high: float | None = None


@runtime_checkable
class Aggregate(Protocol):
    """The numbers that a benchmark prints for one model.

    ``inputs`` must all be given: nothing stands in for a missing reference. ``better`` is what the benchmark
    calls good. ``range`` holds for every number. ``status``: "reproduced" equals published values in
    tests/golden, "paper" follows the authors' formula or code, "experimental" is our reading of a description.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    better: ClassVar[Literal["higher", "lower", "zero"]]
    range: ClassVar[tuple[float | None, float | None]]
    inputs: ClassVar[dict[str, Input]]
    status: ClassVar[Literal["reproduced", "paper", "experimental"]]
    source: ClassVar[str]

    def table(self, scores: Scores) -> dict[str, float]:
        """Return the numbers by name; raises E350 to E354."""
        ...


AGGREGATES: Registry[Aggregate] = Registry("aggregate", "audit.metrics.aggregates")


def checked(aggregate: Aggregate, scores: Scores) -> dict[str, np.ndarray]:
    """Return the aggregate's inputs as float64 arrays.

    E350 an input is missing · E351 empty or not finite · E352 outside its range · E354 an input nobody knows.
    """
    strangers = sorted(set(scores) - set(aggregate.inputs))
    if strangers:
        raise AuditError(
            "E354",
            f"{aggregate.name} has no input {strangers[0]!r}",
            f"its inputs are {', '.join(aggregate.inputs)}",
        )
    return {name: _checked(aggregate.name, name, wanted, scores) for name, wanted in aggregate.inputs.items()}


def undefined(aggregate: Aggregate, cause: str) -> AuditError:
    """Return E353: the inputs are there, but the formula divides by zero on them."""
    return AuditError("E353", f"{aggregate.name} is not defined: {cause}", "report it as not available")


def _checked(aggregate: str, name: str, wanted: Input, scores: Scores) -> np.ndarray:
    if name not in scores:
        raise AuditError(
            "E350", f"{aggregate} needs {name!r}: {wanted.about}", "measure it; nothing stands in for it"
        )
    values = np.asarray(scores[name], dtype=np.float64)
    bad = int((~np.isfinite(values)).sum())
    if values.size == 0 or bad:
        raise AuditError(
            "E351",
            f"{aggregate}: {bad} of {values.size} values of {name!r} are no numbers"
            if values.size
            else f"{aggregate}: {name!r} holds no value",
            "measure these probes; a missing value is not left out",
        )
    low, high = (
        (-np.inf if wanted.low is None else wanted.low),
        (np.inf if wanted.high is None else wanted.high),
    )
    outside = int(((values < low) | (values > high)).sum())
    if outside:
        raise AuditError(
            "E352",
            f"{aggregate}: {outside} of {values.size} values of {name!r} lie outside [{low:g}, {high:g}]",
            f"give {wanted.about}",
        )
    return values
