"""Tables of README and docs, generated from the registries (``cog -r README.md docs/*.md``; CI checks them)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.attacks.table import attacks_table
from audit.data.benchmarks.base import schemas_table
from audit.measurements.importers.base import importers_table
from audit.methods.table import MethodRow, methods_table, shared_budget
from audit.metrics.catalogue import aggregates_table
from audit.metrics.catalogue import table as metrics_table
from audit.report.error_codes import codes_table
from audit.risk.catalogue import table as bounds_table

_SECTIONS = {
    "method": (("objective", "edit", "driver"), ("family", "needs", "defaults", "cost")),
    "weighting": (("weighting",), ("needs", "cost")),
    "step": (("step",), ("needs", "cost", "changes nothing when")),
    "post-calibration": (("post",), ("needs", "cost")),
}


def methods_markdown() -> str:
    """Return the tables of methods, of weightings, of steps and of post-calibrations, and what is not in them."""
    rows = methods_table()
    shared = shared_budget(rows)
    tables = []
    for title, (kinds, own) in _SECTIONS.items():
        head = (title, "what it does", "parameters", *own, "evidence", "measured", "source")
        cells = [_method_cells(row, shared) for row in rows if row.kind in kinds]
        tables.append(
            _markdown(head, [tuple(found.get(name) or found["name"] for name in head) for found in cells])
        )
    defaults = f"Defaults are those of the budget; whoever takes them also takes {_parameters(shared)}."
    return "\n\n".join([*tables, defaults])


def _method_cells(row: MethodRow, shared: Mapping[str, Any]) -> dict[str, str]:
    """Return what a table of methods may show of one, by the column's title."""
    return {
        "name": f"`{row.sign}{row.name}`",
        "what it does": row.summary,
        "family": row.family,
        "needs": ", ".join(row.needs) or "–",
        "parameters": _parameters(row.parameters),
        "defaults": _parameters({name: value for name, value in row.budget.items() if name not in shared}),
        "cost": f"{row.cost:g} {row.cost_unit}",
        "changes nothing when": row.never,
        "evidence": row.evidence,
        "measured": row.measured,
        "source": row.source,
    }


def attacks_markdown() -> str:
    """Return the table of attacks."""
    columns = ("attack", "tier", "about", "parameters", "doses", "source")
    rows = [tuple(f"`{r[c]}`" if c == "attack" else r[c] for c in columns) for r in attacks_table()]
    return _markdown(("attack", "tier", "what it does", "parameters", "doses", "source"), rows)


def metrics_markdown() -> str:
    """Return the table of metrics."""
    rows = [
        (f"`{r['metric']}`", r["about"], _range(r["range"]), r["known_better"], r["source"])
        for r in metrics_table()
    ]
    return _markdown(("metric", "what it is", "range", "better known is", "source"), rows)


def aggregates_markdown() -> str:
    """Return the table of the benchmarks' own numbers."""
    rows = [
        (f"`{r['aggregate']}`", r["about"], _range(r["range"]), r["better"], f"`{r['inputs']}`", r["source"])
        for r in aggregates_table()
    ]
    return _markdown(("aggregate", "what it is", "range", "better", "inputs", "source"), rows)


def formats_markdown() -> str:
    """Return the table of data formats."""
    rows = [
        (
            f"`{r['format']}`",
            r["about"],
            r["subject"],
            r["fields"],
            "by the first row" if r["guessed"] else "when named",
            r["source"],
        )
        for r in schemas_table()
    ]
    return _markdown(("format", "what it holds", "one subject is", "fields", "chosen", "source"), rows)


def importers_markdown() -> str:
    """Return the table of importers."""
    rows = [(f"`{r['importer']}`", r["about"], r["source"]) for r in importers_table()]
    return _markdown(("importer", "what it reads", "source"), rows)


def codes_markdown() -> str:
    """Return the table of error codes."""
    rows = [
        (r["code"], r["cause"] or "as the message says", r["remedy"] or "as the message says")
        for r in codes_table()
    ]
    return _markdown(("code", "what is said (… is filled in)", "what to do"), rows)


def bounds_markdown() -> str:
    """Return the table of bounds."""
    rows = [
        (f"`{r['bound']}`", r["losses"], ", ".join(r["designs"]), r["about"], r["assumes"], r["source"])
        for r in bounds_table()
    ]
    return _markdown(("bound", "losses", "designs", "what it computes", "what it assumes", "source"), rows)


def _markdown(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
        for row in rows
    ]
    return "\n".join(lines)


def _parameters(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "–"


def _range(bounds: list[float | None]) -> str:
    low, high = ("∞" if bound is None else f"{bound:g}" for bound in bounds)
    return f"[{'-' if low == '∞' else ''}{low}, {high}]"
