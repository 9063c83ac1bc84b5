"""The list of metrics with range, direction and source, read off the classes (``unlearn-audit metrics``)."""

from __future__ import annotations

from typing import Any

from audit.metrics.base import METRICS, Metric


def table() -> list[dict[str, Any]]:
    """Return one row per registered metric, sorted by name."""
    return [_row(METRICS[name]) for name in METRICS]


def _row(metric: type[Metric]) -> dict[str, Any]:
    return {
        "metric": metric.name,
        "version": metric.version,
        "range": list(metric.range),
        "known_better": metric.direction,
        "needs_generation": metric.needs_generation,
        "about": (metric.__doc__ or "").partition("\n")[0],
        "source": metric.source,
    }
