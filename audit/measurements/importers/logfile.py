"""One per-sample log, read into numbers: ``{metric: {"value_by_index": {index: fields}}}``.

The text fields (input, ground_truth, generation) live only inside ``read_log``: they give the unit's
pseudonym and the exact match, then they are gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from audit.core.digest import keyed
from audit.core.errors import AuditError
from audit.core.text import normalise, yields
from audit.measurements.importers import fields
from audit.measurements.importers.jsonlog import Entries, aggregates, blocks, by_index, load


class Layout(Protocol):
    """What a benchmark's log says where: side of a metric, unit of a question."""

    @property
    def benchmark(self) -> str:
        """Name of the benchmark."""
        ...

    @property
    def file_name(self) -> str:
        """Name its evaluator gives the log."""
        ...

    def place(self, metric: str, part: str) -> tuple[str, str] | None:
        """Return (side, measure) of a logged metric and its nested part, or None for one that is left out."""
        ...

    def translate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the log as ``{metric: {"value_by_index": {index: fields}}}``; as it is where it is that already."""
        ...

    def shift(self, metric: str) -> int:
        """Return what to add to a metric's row numbers: metrics of different files must not share them."""
        ...

    def forget_list(self, questions: int) -> str:
        """Return the forget list's name when no folder gives it, from the number of its questions."""
        ...

    def unit(self, side: str, forget_list: str, index: int, question: str | None) -> tuple[str, bool]:
        """Return the unit's canonical name (keyed by the caller) and whether it was recognised."""
        ...


@dataclass(frozen=True)
class Column:
    """One metric of one side: values (n,) at probe indices (n,); NaN where the log has no usable number."""

    side: str
    metric: str
    index: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class Log:
    """The numbers of one file.

    ``units``: side -> index -> pseudonym. ``fingerprints``: side -> index -> hash of the normalised answer,
    good in this process only. ``unrecognised``: questions that stand as their own unit.
    ``left_out``: metric -> samples.
    """

    sha256: str
    forget_list: str
    columns: tuple[Column, ...]
    units: dict[str, dict[int, str]]
    fingerprints: dict[str, dict[int, int]]
    aggregates: dict[str, float]
    left_out: dict[str, int]
    unrecognised: int


def read_log(path: Path, layout: Layout, *, forget_list: str, key: bytes) -> Log:
    """Read one log; raises E131 (not JSON), E132 (no per-sample values), E134 (bad indices)."""
    raw_data, sha256 = load(path)
    data = layout.translate(raw_data)
    placed: list[tuple[str, str, Entries]] = []
    left_out: dict[str, int] = {}
    for metric, part, raw in blocks(data):
        entries = {i + layout.shift(metric): item for i, item in by_index(raw, path).items()}
        place = layout.place(metric, part)
        if place is None:
            left_out[metric] = len(entries)
        else:
            placed.append((*place, entries))
    if not any(entries for _, _, entries in placed):
        raise AuditError(
            "E132",
            f"{path.parent.name}/{path.name} has no per-sample values among {len(data)} entries",
            "import the log, not its summary",
        )
    asked = max((len(entries) for side, _, entries in placed if side == "forget"), default=0)
    forget_list = forget_list or layout.forget_list(asked)
    units, unrecognised = _units(placed, layout, forget_list, key)
    columns = _unique(
        column for side, measure, entries in placed for column in _columns(side, measure, entries)
    )
    return Log(
        sha256,
        forget_list,
        tuple(columns),
        units,
        _fingerprints(placed),
        aggregates(data),
        left_out,
        unrecognised,
    )


def _columns(side: str, measure: str, entries: Entries) -> Iterator[Column]:
    index = np.fromiter(entries, dtype=np.int64, count=len(entries))
    items = list(entries.values())
    for field in _field_names(items):
        values = [item.get(field) for item in items]
        for suffix, numbers in _numbers(values):
            metric = fields.metric_name(measure, field) + suffix
            yield Column(side, metric, index, fields.cleaned(metric, numbers))
    if fields.metric_name(measure, "rougeL_recall") == "rouge_l_recall":
        matches = np.array([_exact_match(item) for item in items], dtype=np.float64)
        if not np.isnan(matches).all():
            yield Column(side, "exact_match", index, matches)


def _field_names(items: list[Any]) -> list[str]:
    """Return the names an evaluator gave; a key that only some samples have may be an answer option."""
    counts = Counter(name for item in items for name in item)
    return [name for name, count in counts.items() if name.isidentifier() and 2 * count >= len(items)]


def _numbers(values: list[Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a field's numbers; a list field gives one array per position, text gives none."""
    if any(isinstance(value, list) for value in values):
        width = max(len(value) for value in values if isinstance(value, list))
        rows = [
            value if isinstance(value, list) and len(value) == width else [None] * width for value in values
        ]
        for position in range(width):
            yield from ((f"_{position}", n) for _, n in _numbers([row[position] for row in rows]))
    elif all(value is None or isinstance(value, int | float) for value in values):
        numbers = np.array(values, dtype=np.float64)  # None becomes NaN
        if not np.isnan(numbers).all():
            yield "", numbers


def _exact_match(item: Mapping[str, Any]) -> float:
    answer, generation = item.get("ground_truth"), item.get("generation")
    if not isinstance(answer, str) or not isinstance(generation, str):
        return float("nan")
    return float(yields(answer, generation))


def _unique(columns: Iterator[Column]) -> list[Column]:
    """Merge columns of one name; of a row in two of them the first counts.

    nll comes with probabilities and again with membership scores; recall comes from two files of questions.
    """
    kept: dict[tuple[str, str], Column] = {}
    for column in columns:
        first = kept.get((column.side, column.metric))
        kept[column.side, column.metric] = column if first is None else _extended(first, column)
    return list(kept.values())


def _extended(first: Column, second: Column) -> Column:
    new = ~np.isin(second.index, first.index)
    if not new.any():
        return first
    joined = (np.concatenate([getattr(first, f), getattr(second, f)[new]]) for f in ("index", "value"))
    return Column(first.side, first.metric, *joined)


def _units(
    placed: list[tuple[str, str, Entries]], layout: Layout, forget_list: str, key: bytes
) -> tuple[dict[str, dict[int, str]], int]:
    questions: dict[str, dict[int, str | None]] = {}
    for side, _, entries in placed:
        known = questions.setdefault(side, {})
        for index, item in entries.items():
            text = item.get("input")
            known[index] = known.get(index) or (text if isinstance(text, str) else None)
    named = {
        s: {i: layout.unit(s, forget_list, i, q) for i, q in items.items()} for s, items in questions.items()
    }
    units = {side: {i: keyed(key, name) for i, (name, _) in items.items()} for side, items in named.items()}
    return units, sum(not recognised for items in named.values() for _, recognised in items.values())


def _fingerprints(placed: list[tuple[str, str, Entries]]) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for side, measure, entries in placed:
        if fields.metric_name(measure, "rougeL_recall") == "rouge_l_recall":
            texts = {
                i: e["ground_truth"] for i, e in entries.items() if isinstance(e.get("ground_truth"), str)
            }
            found[side] = {index: hash(normalise(text)) for index, text in texts.items()}
    return found
