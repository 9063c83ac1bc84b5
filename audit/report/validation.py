"""The validity study as text, tables and one self-contained page.

Rates are rounded to the nearest, their intervals outwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audit.core.lazy import lazy
from audit.report.wording import SPACE, budget, interval, percent
from audit.risk.validation.judging import EVIDENCE
from audit.risk.validation.result import INVALID_PART, Row, Study

jinja2 = lazy("jinja2")

TEMPLATE = Path(__file__).with_name("validation.html")
COLUMNS = ("procedure", "cell", "violations", "rate", "promised", "verdict")
WORST_COLUMNS = ("procedure", "cells", "worst_cell", "violations", "rate", "promised", "verdict")
INVALID_COLUMNS = ("procedure", "what_is_wrong", "violations", "rate", "promised", "verdict")


def promises(study: Study) -> list[dict[str, str]]:
    """Return one row per cell and procedure with COLUMNS."""
    return [
        {"cell": row.cell, "verdict": _verdict(flag), **_numbers(row)}
        for row, flag in zip(study.rows, study.flagged, strict=True)
    ]


def worst(study: Study) -> list[dict[str, str]]:
    """Return one row per part and procedure with WORST_COLUMNS: its cell with the most evidence against it."""
    groups: dict[tuple[str, str], list[tuple[Row, bool]]] = {}
    for row, flag in zip(study.rows, study.flagged, strict=True):
        groups.setdefault((row.part, row.procedure), []).append((row, flag))
    found = []
    for rows in groups.values():
        row, flag = min(rows, key=lambda pair: pair[0].surprise)
        found.append(
            {"worst_cell": row.cell, "cells": str(len(rows)), "verdict": _verdict(flag), **_numbers(row)}
        )
    return found


def invalid(study: Study) -> list[dict[str, str]]:
    """Return one row per procedure known to be invalid with INVALID_COLUMNS."""
    return [
        {"what_is_wrong": row.cell, "verdict": "caught" if caught else "MISSED", **_numbers(row)}
        for row, caught in zip(study.invalid, study.caught, strict=True)
    ]


def summary(study: Study) -> list[str]:
    """Return what the study showed, in sentences."""
    kept, caught = len(study.rows) - sum(study.flagged), sum(study.caught)
    repeated = sorted({row.replications for row in (*study.rows, *study.invalid)}, reverse=True)
    draws = " or ".join(f"{number:,}" for number in repeated)
    return [
        f"{kept} of {len(study.rows)} promises kept, {caught} of {len(study.invalid)} invalid procedures caught"
        f" ({draws} replications a row, seed {study.seed}, {study.seconds:.0f} s in {study.processes} processes).",
        f"A promise counts as broken at {budget(EVIDENCE).replace(SPACE, ' ')} evidence over the whole study"
        " (exact binomial test, Holm over all rows); intervals are Clopper-Pearson, 95 %.",
    ]


def render(study: Study) -> str:
    """Return the study as one HTML page without script; the same study gives the same bytes."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page: Any = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return page.render(
        passed=study.passed,
        trouble=study.trouble(),
        summary=summary(study),
        tables=(
            ("Promises", "promises", COLUMNS, promises(study)),
            ("Procedures known to be invalid", "invalid", INVALID_COLUMNS, invalid(study)),
        ),
    )


def _verdict(flag: bool) -> str:
    return "BROKEN" if flag else "kept"


def _numbers(row: Row) -> dict[str, str]:
    part = "" if row.part == INVALID_PART else f"{row.part}: "
    return {
        "procedure": part + row.procedure.replace("_", " "),
        "violations": f"{row.violations:,} of {row.replications:,}",
        "rate": f"{percent(row.rate)} {interval(row.lower, row.upper)}".replace(SPACE, " "),
        "promised": f"{100 * row.promised:.3g} %",
    }
