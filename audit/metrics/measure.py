"""From one scoring pass to rows of the measurements table.

A value that is not finite is not a value: such a row is left out, so the unit counts as unmeasured (loss 1 in
upper bounds, 0 in lower ones) instead of as forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from audit.metrics.base import METRICS, Absent, Metric, MetricRecord
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
    pass and would read as forgotten. A probe that lacks what a metric needs (wrong answers, say) has no row of
    that metric. Raises ValueError if what a metric needs was not asked for at all.
    """
    metrics = [(name, METRICS.build(name)) for name in names]
    return [
        MetricRow(item.subject, item.probe, item.draw, name, value)
        for item in scored
        if np.isfinite(item.logp).all()
        for name, metric in metrics
        if (value := _value(metric, item)) is not None and math.isfinite(value)
    ]


def _value(metric: Metric, item: Scored) -> float | None:
    """Return the metric, or None where it was asked for and the probe has not what it takes."""
    try:
        return metric.value(item)
    except Absent:
        if not metric.needs <= item.asked:
            raise
        return None


def without_generation(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of ``names`` that need no generated text, in order."""
    return tuple(name for name in names if "generation" not in METRICS[name].needs)


def records(names: Iterable[str]) -> tuple[MetricRecord, ...]:
    """Return how ``names`` stand in the measurements header, in order."""
    classes = [METRICS[name] for name in names]
    return tuple(MetricRecord(c.name, c.version, c.direction, c.range) for c in classes)
