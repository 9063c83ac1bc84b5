"""The methods on a terminal: all of them in a short list, one in full."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from audit.methods.table import MethodRow, shared_budget
from audit.report.table_text import table_text

WIDTH = 100
_METHODS = ("method", "family", "needs", "cost", "evidence", "result")
_PARTS = ("part", "needs", "cost", "evidence", "result")
_LABEL = 12


def listed(rows: Sequence[MethodRow]) -> str:
    """Return a short table of the methods, one of what goes around them, and what both leave out."""
    methods = [_cells(row) for row in rows if not row.sign]
    parts = [_cells(row) for row in rows if row.sign]
    shared = _pairs(shared_budget(rows))
    return "\n".join(
        [
            table_text(methods, _METHODS, width=WIDTH),
            "",
            table_text(parts, _PARTS, width=WIDTH),
            "",
            "needs    besides the forget set; reference: what the starting model says or computes",
            "cost     forward-equivalents a step, graddiff = 1; × multiplies that of the method; epochs (of",
            "         graddiff) and passes (over tune subjects, at most) are spent once",
            "result   on the small laboratory, at the best of a small search; a part's on npo",
            f"budget   {shared} for all that take it",
            "unlearn-audit methods NAME shows one in full: parameters, budget, source and measured numbers",
        ]
    )


def described(row: MethodRow) -> list[str]:
    """Return everything about one, lines of at most ``WIDTH`` characters."""
    said = {
        "name": f"{row.sign}{row.name} ({row.kind if row.sign else f'{row.kind}, {row.family}'})",
        "what it does": row.summary,
        "needs": ", ".join(row.needs) or "nothing besides the forget set",
        "parameters": _pairs(row.parameters),
        "budget": _pairs(row.budget) if row.budget else "",
        "cost": f"{row.cost:g} {row.cost_unit}",
        "leaves alone": row.never,
        "evidence": row.evidence,
        "source": row.source,
        "measured": row.measured,
    }
    indent = " " * (_LABEL + 2)
    return [
        line
        for label, text in said.items()
        if text
        for line in textwrap.wrap(
            f"{label:<{_LABEL}}  {text}", WIDTH, subsequent_indent=indent, break_on_hyphens=False
        )
    ]


def _cells(row: MethodRow) -> dict[str, str]:
    reference = any(need.startswith("reference") for need in row.needs)
    needs = [need for need in row.needs if not need.startswith("reference")] + ["reference"] * reference
    name = f"{row.sign}{row.name}"
    return {
        "method": name,
        "part": name,
        "family": row.family,
        "needs": ", ".join(needs) or "–",
        "cost": _cost(row),
        "evidence": row.evidence,
        "result": row.reading,
    }


def _cost(row: MethodRow) -> str:
    if row.kind == "step":
        return f"× {row.cost:g}"
    units = {"weighting": "epochs", "post": "passes"}
    again = row.cost_unit.startswith("×")
    return f"{row.cost:g} {'training' if again else units.get(row.kind, 'a step')}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "–"
