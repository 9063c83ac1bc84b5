"""The JSON of a per-sample log: coded errors for what is broken, tolerance for how indices are written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from audit.core.errors import AuditError

Entries = Mapping[int, Any]


def load(path: Path) -> tuple[dict[str, Any], str]:
    """Return the log and its SHA-256; raises E131 with the byte where it stops being JSON."""
    raw = path.read_bytes()
    data = _parse(_decoded(raw, path), 0, path)
    if not isinstance(data, dict):
        raise AuditError(
            "E132", f"{_where(path)} holds a {type(data).__name__}, not metrics", "import the evaluator's log"
        )
    return data, hashlib.sha256(raw).hexdigest()


def load_lines(path: Path) -> tuple[list[dict[str, Any]], str]:
    """Return the objects of a file of JSON lines and its SHA-256; raises E131, or E132 for a file of none."""
    raw = path.read_bytes()
    rows, start = [], 0
    for line in _decoded(raw, path).split("\n"):
        if line.strip():
            rows.append(_parse(line, start, path))
        start += len(line.encode()) + 1
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise AuditError("E132", f"{_where(path)} holds no samples", "import the evaluator's sample log")
    return rows, hashlib.sha256(raw).hexdigest()


def _decoded(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AuditError(
            "E131", f"{_where(path)} is not UTF-8 at byte {error.start}", "evaluate again, or leave it out"
        ) from None


def _parse(text: str, start: int, path: Path) -> Any:
    """Parse JSON that begins at byte ``start`` of its file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        position = start + len(text[: error.pos].encode())
        raise AuditError(
            "E131", f"{_where(path)} is not JSON at byte {position}", "evaluate again, or leave it out"
        ) from None


def _where(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def blocks(data: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (metric, part, value_by_index); ``part`` names a nested block such as forget or holdout."""
    for metric, entry in data.items():
        nested = {"": entry, **(entry if isinstance(entry, dict) else {})}
        for part, block in nested.items():
            if isinstance(block, dict) and isinstance(block.get("value_by_index"), dict):
                yield metric, part, block["value_by_index"]


def by_index(raw: Mapping[str, Any], path: Path) -> Entries:
    """Parse the keys: evaluators write 7, "7" or "7.0"."""
    try:
        numbers = [float(key) for key in raw]
    except ValueError:
        numbers = [float("nan")]
    bad = sum(not number.is_integer() or number < 0 for number in numbers)  # false for NaN and infinities too
    entries = {} if bad else {int(n): _entry(v) for n, v in zip(numbers, raw.values(), strict=True)}
    if bad or len(entries) < len(raw):
        cause = f"{path.parent.name}/{path.name} has keys among {len(raw)} that are no index or stand twice"
        raise AuditError("E134", cause, "sample keys are row numbers from 0")
    return entries


def _entry(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"score": value}


def aggregates(data: Mapping[str, Any]) -> dict[str, float]:
    """Return the logged aggregates, for display and for checking an import; no result uses them."""
    pairs = ((k[:64], v.get("agg_value")) for k, v in data.items() if isinstance(v, dict))
    return {k: float(v) for k, v in pairs if isinstance(v, int | float) and np.isfinite(v)}
