"""The table of metrics that help texts, documents and reports show, read off the registry."""

from __future__ import annotations

from typing import Any

from audit.metrics.base import METRICS, Metric


def metrics_table() -> list[dict[str, Any]]:
    """Return one row per registered metric, by name."""
    return [_row(METRICS[name]) for name in METRICS]


def _row(metric: type[Metric]) -> dict[str, Any]:
    low, high = ("unbounded" if end is None else f"{end:g}" for end in metric.range)
    return {
        "metric": metric.name,
        "range": f"{low} to {high}",
        "better known": metric.direction,
        "read from": "generated text" if metric.needs_generation else "one forward pass",
        "about": (metric.__doc__ or "").partition("\n")[0],
        "source": metric.source,
        "version": metric.version,
    }
