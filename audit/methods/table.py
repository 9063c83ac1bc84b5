"""The table of methods that help texts, documents and reports show, read off the registries."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from audit.core.errors import AuditError
from audit.methods.base import METHODS, POSTS, STEPS, WEIGHTINGS, default_budget, kind, spends
from audit.methods.measured import CARRIER, Measured, measured


@dataclass(frozen=True)
class MethodRow:
    """One registered objective, edit, driver, weighting, step or post-calibration.

    ``parameters`` and ``budget`` map names to defaults; only methods have a budget. ``cost`` counts in ``cost_unit``:
    of a method forward-equivalents per step, graddiff = 1, or of one that trains anew that training; a step multiplies
    it; a weighting spends once, in epochs of graddiff; a post-calibration in scoring passes over its tune subjects, at
    most. ``never``: when a step leaves the update alone. ``measured``: the laboratory's result
    (``audit.methods.measured``), of a part on ``npo``; ``reading``: the same in one or a few words.
    """

    name: str
    kind: str
    family: str
    summary: str
    needs: tuple[str, ...]
    parameters: dict[str, Any]
    budget: dict[str, Any]
    cost: float
    cost_unit: str
    evidence: str
    source: str
    measured: str
    reading: str
    never: str = ""

    @property
    def sign(self) -> str:
        """What a recipe writes in front of it, empty for a method."""
        return {"weighting": "* ", "step": "+ ", "post": "> "}.get(self.kind, "")


def methods_table() -> list[MethodRow]:
    """Return one row per registered method, weighting, step and post-calibration, in this order, each by name."""
    found = measured()
    return [
        *(_method(METHODS[name], found) for name in METHODS),
        *(_part(WEIGHTINGS[name], "weighting", "*", found) for name in WEIGHTINGS),
        *(_part(STEPS[name], "step", "+", found, never=STEPS[name].never) for name in STEPS),
        *(_part(POSTS[name], "post", ">", found) for name in POSTS),
    ]


def row_of(name: str) -> MethodRow:
    """Return the row of one name; E110 for a name that is none."""
    rows = {row.name: row for row in methods_table()}
    if name not in rows:
        close = difflib.get_close_matches(name, rows, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "`unlearn-audit methods` lists all names"
        raise AuditError("E110", f"no method, weighting, step or post-calibration is called {name!r}", hint)
    return rows[name]


def shared_budget(rows: Iterable[MethodRow]) -> dict[str, Any]:
    """Return the budget fields that have the same default in every row that has them."""
    defaults: dict[str, set[Any]] = {}
    for row in rows:
        for name, value in row.budget.items():
            defaults.setdefault(name, set()).add(value)
    return {name: min(values) for name, values in defaults.items() if len(values) == 1}


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
        cost_unit=_unit(kind, getattr(item, "needs", ())),
        evidence=item.evidence,
        source=item.source,
        measured=found.words if found else "not measured",
        reading=(found.reading or "no result") if found else "not measured",
        never=never,
    )


def _unit(kind: str, needs: Collection[str]) -> str:
    """Return what one of ``cost`` is."""
    units = {
        "weighting": "epochs of graddiff, once",
        "step": "× the method's step",
        "post": "passes over tune subjects, at most",
    }
    again = "× the original's training, at most"
    return units.get(kind) or (again if "training" in needs else "per step, graddiff = 1")
