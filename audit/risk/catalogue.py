"""The list of bounds with what they assume, read off the classes (``unlearn-audit bounds``)."""

from __future__ import annotations

from typing import Any

from audit.risk.bounds.base import BOUNDS, Bound, Design


def table() -> list[dict[str, Any]]:
    """Return one row per registered bound, sorted by name."""
    return [_row(BOUNDS[name]) for name in BOUNDS]


def covering(design: Design, *, binary: bool) -> list[str]:
    """Return the names of the bounds whose theorem covers ``design``; graded losses exclude those on counts."""
    return [name for name in BOUNDS if design in BOUNDS[name].designs and (binary or not BOUNDS[name].binary)]


def _row(bound: type[Bound]) -> dict[str, Any]:
    return {
        "bound": bound.name,
        "designs": sorted(bound.designs),
        "losses": "0/1" if bound.binary else "[0, 1]",
        "about": (bound.__doc__ or "").partition("\n")[0],
        "assumes": bound.assumes,
        "source": bound.source,
    }
