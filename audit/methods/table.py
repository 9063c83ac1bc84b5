"""The table of methods that help texts, documents and reports show, read off the registries."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.methods.base import METHODS, POSTS, STEPS, WEIGHTINGS, default_budget, kind, spends
from audit.methods.measured import CARRIER, Measured, measured


@dataclass(frozen=True)
class MethodRow:
    """One registered objective, edit, driver, weighting, step or post-calibration.

    ``parameters`` and ``budget`` map names to defaults; only methods have a budget. ``cost`` of a method counts
    forward-equivalents per step, graddiff = 1; that of a step multiplies it; that of a weighting is spent once, in
    epochs of graddiff; that of a post-calibration is the largest number of scoring passes over its tune subjects.
    ``never``: when a step leaves the update alone. ``measured``: the laboratory's result (``audit.methods.measured``), of a
    part on ``npo``.
    """

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
    measured: str
    never: str = ""


def methods_table() -> list[MethodRow]:
    """Return one row per registered method, weighting, step and post-calibration, in this order, each by name."""
    found = measured()
    return [
        *(_method(METHODS[name], found) for name in METHODS),
        *(_part(WEIGHTINGS[name], "weighting", "*", found) for name in WEIGHTINGS),
        *(_part(STEPS[name], "step", "+", found, never=STEPS[name].never) for name in STEPS),
        *(_part(POSTS[name], "post", ">", found) for name in POSTS),
    ]


def _method(cls: Any, found: Mapping[str, Measured]) -> MethodRow:
    budget = dataclasses.asdict(default_budget(cls))
    used = {name: budget[name] for name in spends(cls)}
    return _row(cls, kind(cls()), cls.family, found.get(cls.name), budget=used)


def _part(cls: Any, kind: str, sign: str, found: Mapping[str, Measured], never: str = "") -> MethodRow:
    family = "post-calibration" if kind == "post" else kind
    return _row(cls, kind, family, found.get(f"{CARRIER} {sign} {cls.name}"), never=never)


def _row(
    cls: Any,
    kind: str,
    family: str,
    found: Measured | None,
    *,
    budget: dict[str, Any] | None = None,
    never: str = "",
) -> MethodRow:
    item = cls()
    return MethodRow(
        name=cls.name,
        kind=kind,
        family=family,
        summary=(cls.__doc__ or "").strip().splitlines()[0],
        needs=tuple(sorted(getattr(item, "needs", ()))),
        parameters=dataclasses.asdict(item),
        budget=budget or {},
        cost=item.cost,
        evidence=item.evidence,
        source=item.source,
        measured=found.words if found else "not measured",
        never=never,
    )
