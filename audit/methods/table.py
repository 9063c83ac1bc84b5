"""The table of methods that help texts, documents and reports show, read off the registries."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from audit.methods.base import METHODS, POSTS, STEPS, WEIGHTINGS, default_budget, kind, spends


@dataclass(frozen=True)
class MethodRow:
    """One registered objective, edit, driver, weighting, step or post-calibration.

    ``parameters`` and ``budget`` map names to defaults; only methods have a budget. ``cost`` of a method counts
    forward-equivalents per step, graddiff = 1; that of a step multiplies it; that of a weighting is spent once, in
    epochs of graddiff; that of a post-calibration is the largest number of scoring passes over its retain sequences.
    ``never``: when a step leaves the update alone.
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
    never: str = ""


def methods_table() -> list[MethodRow]:
    """Return one row per registered method, weighting, step and post-calibration, in this order, each by name."""
    return [
        *(_method(METHODS[name]) for name in METHODS),
        *(_row(WEIGHTINGS[name], kind="weighting", family="weighting") for name in WEIGHTINGS),
        *(_row(STEPS[name], kind="step", family="step", never=STEPS[name].never) for name in STEPS),
        *(_row(POSTS[name], kind="post", family="post-calibration") for name in POSTS),
    ]


def _method(cls: Any) -> MethodRow:
    budget = dataclasses.asdict(default_budget(cls))
    used = {name: budget[name] for name in spends(cls)}
    return _row(cls, kind=kind(cls()), family=cls.family, budget=used)


def _row(
    cls: Any, *, kind: str, family: str, budget: dict[str, Any] | None = None, never: str = ""
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
        never=never,
    )
