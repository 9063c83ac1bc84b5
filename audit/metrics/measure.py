"""From one scoring pass to rows of the measurements table.

A value that is not finite is not a value: such a row is left out, so the unit counts as unmeasured (loss 1 in
upper bounds, 0 in lower ones) instead of as forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from audit.metrics.base import METRICS, MetricRecord
from audit.models.scoring import Scored


class MetricRow(NamedTuple):
    """One value; ``draw`` is the index of a repeated sample, 0 otherwise."""

    subject: str
    probe: str
    draw: int
    metric: str
    value: float


def measure(scored: Sequence[Scored], names: Iterable[str]) -> list[MetricRow]:
    """Return the metrics ``names`` of every probe, probes outermost, in the given orders.

    A probe whose log-probabilities are not all finite has no rows: its arg max comes from a broken forward
    pass and would read as forgotten. Raises ValueError if a metric needs text that was not generated.
    """
    metrics = [(name, METRICS.build(name)) for name in names]
    return [
        MetricRow(item.subject, item.probe, item.draw, name, value)
        for item in scored
        if np.isfinite(item.logp).all()
        for name, metric in metrics
        if math.isfinite(value := metric.value(item))
    ]


def without_generation(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of ``names`` that need no generated text, in order."""
    return tuple(name for name in names if not METRICS[name].needs_generation)


def records(names: Iterable[str]) -> tuple[MetricRecord, ...]:
    """Return how ``names`` stand in the measurements header, in order."""
    classes = [METRICS[name] for name in names]
    return tuple(MetricRecord(c.name, c.version, c.direction, c.range) for c in classes)
