"""The rows of a data file: JSON lines, one JSON array, or Parquet; several files by a pattern in the name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.data.benchmarks.rows import Row
from audit.data.records import Side

pa = lazy("pyarrow")
pq = lazy("pyarrow.parquet")


def rows_of(path: Path, side: Side) -> list[Row]:
    """Return all rows of a file, or of all files that a name with ``*`` matches, in order of their names.

    A JSON array of bare texts (PCH's layout) gives rows with the single field ``text``. ``side`` is named in
    messages. E101 no such file · E102 nothing in it · E103 not JSON objects · E251 not Parquet.
    """
    files = sorted(path.parent.glob(path.name)) if "*" in path.name else [path]
    if not files:
        raise AuditError("E101", f"no {side} file matches {path}", "check the pattern in the plan")
    rows = [row for file in files for row in _read(file, side)]
    if not rows:
        raise AuditError(
            "E102", f"the {side} file {path.name} holds 0 rows", "give a file with one probe a line"
        )
    return rows


def _read(path: Path, side: Side) -> list[Row]:
    if not path.is_file():
        raise AuditError("E101", f"there is no {side} file {path}", "check the path in the plan")
    if path.suffix == ".parquet":
        return _parquet(path, side)
    text = _text(path, side)
    return _array(text, side) if text.lstrip().startswith("[") else _lines(text, side)


def _parquet(path: Path, side: Side) -> list[Row]:
    try:
        records = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:  # its text may quote the file
        raise AuditError(
            "E251", f"the {side} file {path.name} is no Parquet ({type(error).__name__})", "download it again"
        ) from None
    return [Row(f"{side} data, row {number}", record) for number, record in enumerate(records, start=1)]


def _text(path: Path, side: Side) -> str:
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
    if items and all(isinstance(item, str) for item in items):
        items = [{"text": item} for item in items]
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
