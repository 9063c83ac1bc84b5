"""Reading a data file: JSON lines or one JSON array, in the project's own schema, LUME's or TOFU's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audit.core.errors import AuditError
from audit.data.benchmarks import lume, own, tofu
from audit.data.benchmarks.rows import Row
from audit.data.checks import check_disjoint, check_subjects
from audit.data.records import Probe, Side, Subject

__all__ = ["check_disjoint", "read_subjects"]

SCHEMAS = (own, lume, tofu)  # the first that fits the first row reads the whole file


def read_subjects(path: Path, side: Side) -> tuple[Subject, ...]:
    """Return the subjects of one file, in the order of their first row.

    ``path`` holds JSON lines or one JSON array of objects, in UTF-8; ``side`` is named in messages.

    E101 no such file · E102 nothing in it · E103 not JSON objects · E104 a field is missing or of the wrong
    kind · E105 a subject without probes · E106 a probe twice.
    """
    rows = _read_rows(path, side)
    grouped: dict[str, list[Probe]] = {}
    for subject, probe in _schema(rows[0])(rows):
        grouped.setdefault(subject, []).extend([probe] if probe else [])
    subjects = tuple(Subject(name, tuple(probes)) for name, probes in grouped.items())
    check_subjects(subjects, side)
    return subjects


def _schema(first: Row) -> Callable[[list[Row]], list[tuple[str, Probe | None]]]:
    for schema in SCHEMAS:
        if schema.fits(first):
            return schema.read
    missing = next((field for field in ("question", "answer") if field not in first.values), "subject")
    raise first.complain(f"has no {missing!r}, and is no row of LUME or TOFU either")


def _read_rows(path: Path, side: Side) -> list[Row]:
    text = _read_text(path, side)
    rows = _array(text, side) if text.lstrip().startswith("[") else _lines(text, side)
    if not rows:
        raise AuditError(
            "E102", f"the {side} file {path.name} holds 0 rows", "give a file with one probe a line"
        )
    return rows


def _read_text(path: Path, side: Side) -> str:
    if not path.is_file():
        raise AuditError("E101", f"there is no {side} file {path}", "check the path in the plan")
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _not_json(f"line {line}", side, "is not UTF-8") from None


def _lines(text: str, side: Side) -> list[Row]:
    # Only line feeds end a line: splitlines would also cut at U+2028, which may stand inside a JSON string.
    numbered = (
        (f"line {number}", line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()
    )
    return [_row(place, _parse(line, place, side), side) for place, line in numbered]


def _array(text: str, side: Side) -> list[Row]:
    items = _parse(text, None, side)
    return [_row(f"row {number}", item, side) for number, item in enumerate(items, start=1)]


def _parse(text: str, place: str | None, side: Side) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _not_json(
            place or f"line {error.lineno}", side, f"breaks off at column {error.colno}"
        ) from None
    except (RecursionError, ValueError):  # nested beyond reason, or a number of thousands of digits
        raise _not_json(place or "the array", side, "cannot be parsed") from None


def _row(place: str, value: Any, side: Side) -> Row:
    if not isinstance(value, dict):
        raise _not_json(place, side, f"holds a {type(value).__name__}")
    return Row(f"{side} data, {place}", value)


def _not_json(place: str, side: Side, what: str) -> AuditError:
    return AuditError(
        "E103", f"{side} data, {place} {what}, expected a JSON object", "write one JSON object a line"
    )
