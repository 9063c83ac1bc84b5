"""The table of methods that help texts, documents and reports show, read off the registry."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from audit.methods.base import METHODS, default_budget, kind


@dataclass(frozen=True)
class MethodRow:
    """One registered method. ``parameters`` and ``budget`` map names to defaults; ``cost``: graddiff = 1."""

    name: str
    kind: str
    family: str
    summary: str
    needs: tuple[str, ...]
    parameters: dict[str, Any]
    budget: dict[str, Any]
    cost: float
    evidence: str
    source: str


def methods_table() -> list[MethodRow]:
    """Return one row per registered method, by name."""
    return [_row(name) for name in METHODS]


def _row(name: str) -> MethodRow:
    cls = METHODS[name]
    method = cls()
    return MethodRow(
        name=name,
        kind=kind(method),
        family=method.family,
        summary=(cls.__doc__ or "").strip().splitlines()[0],
        needs=tuple(sorted(method.needs)),
        parameters=dataclasses.asdict(method),  # type: ignore[call-overload]
        budget=dataclasses.asdict(default_budget(cls)),
        cost=method.cost,
        evidence=method.evidence,
        source=method.source,
    )
