"""The list of metrics and aggregates with range, direction and source (``unlearn-audit metrics``).

Read off the classes. A metric has one value per probe; an aggregate is what a benchmark prints for one model.
"""

from __future__ import annotations

from typing import Any

from audit.metrics.aggregates.base import AGGREGATES, Aggregate
from audit.metrics.base import METRICS, Metric
from audit.metrics.inputs import INPUTS


def table() -> list[dict[str, Any]]:
    """Return one row per registered metric, sorted by name."""
    return [_row(METRICS[name]) for name in METRICS]


def aggregates_table() -> list[dict[str, Any]]:
    """Return one row per registered aggregate, sorted by name."""
    return [_aggregate(AGGREGATES[name]) for name in AGGREGATES]


def _row(metric: type[Metric]) -> dict[str, Any]:
    needs = sorted(metric.needs)
    return {
        "metric": metric.name,
        "version": metric.version,
        "range": list(metric.range),
        "tells": metric.tells,
        "known_better": metric.direction,
        "needs": ", ".join(needs),
        "cost": "; ".join(INPUTS[need].cost for need in needs),
        "standard": metric.standard,
        "about": (metric.__doc__ or "").partition("\n")[0],
        "source": metric.source,
    }


def _aggregate(aggregate: type[Aggregate]) -> dict[str, Any]:
    return {
        "aggregate": aggregate.name,
        "version": aggregate.version,
        "range": list(aggregate.range),
        "better": aggregate.better,
        "status": aggregate.status,
        "inputs": ", ".join(aggregate.inputs),
        "about": (aggregate.__doc__ or "").partition("\n")[0],
        "source": aggregate.source,
    }
