"""The logs of one audit become one ``Measurements``.

A unit whose probes are not all there under some metric has no value of that metric at all: a maximum or
mean over half its questions would flatter the model, and a missing unit counts against it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.measurements.importers.base import Request
from audit.measurements.importers.header import build_header
from audit.measurements.importers.logfile import Column
from audit.measurements.importers.sides import Audit, Side, Source, list_name, side_of
from audit.measurements.table import SIDES, Measurements

pd = lazy("pandas")


def gather(audit: Audit, request: Request, importer: str) -> Measurements:
    """Return the audit's measurements; raises E132, E135 (two logs of one name), E136 (questions differ)."""
    _refuse_doubles(audit)
    sides = {
        side: side_of(audit, side, request)
        for side in SIDES
        if any(side in s.log.units for s in audit.sources)
    }
    if "forget" not in sides:
        raise AuditError(
            "E132", f"{audit.audit_id} has no forget samples", "evaluate the forget list as well"
        )
    rows, incomplete = _rows(audit.sources, sides)
    return Measurements(
        rows,
        _units(audit, sides),
        _probes(sides),
        build_header(audit, request, importer, sides, rows, incomplete),
    )


def _refuse_doubles(audit: Audit) -> None:
    counts = Counter(source.configuration for source in audit.sources)
    doubles = sum(count > 1 for count in counts.values())
    if doubles:
        cause = f"{audit.audit_id}: {doubles} of {len(counts)} configurations come with more than one log"
        raise AuditError("E135", cause, "import a narrower folder, or tell the logs apart with --role")


def _rows(sources: Sequence[Source], sides: Mapping[str, Side]) -> tuple[Any, Counter[str]]:
    """Return the rows and, per configuration, how many (unit, metric) pairs were dropped as incomplete."""
    metrics = sorted({column.metric for source in sources for column in source.log.columns})
    subjects = sorted({name for side in sides.values() for name in side.names})
    width = max(int(side.index.max()) for side in sides.values()) + 1
    subject_code = {name: code for code, name in enumerate(subjects)}
    codes = {side: np.array([subject_code[n] for n in s.names]) for side, s in sides.items()}
    incomplete: Counter[str] = Counter()
    parts: list[tuple[np.ndarray, ...]] = []
    for number, source in enumerate(sources):
        for column in source.log.columns:
            unit, index, value, dropped = _complete(column, sides[column.side])
            incomplete[source.configuration] += dropped
            metric = np.full(len(unit), metrics.index(column.metric))
            parts.append((np.full(len(unit), number), metric, codes[column.side][unit], index, value))
    configuration, metric, subject, index, value = (np.concatenate(part) for part in zip(*parts, strict=True))
    constant = {"seed": 0, "checkpoint": "", "attack": "none", "dose": 0.0, "fold": 0, "draw": 0}
    rows = pd.DataFrame(
        {
            "configuration": pd.Categorical.from_codes(configuration, [s.configuration for s in sources]),
            "subject": pd.Categorical.from_codes(subject, subjects),
            "probe": pd.Categorical.from_codes(index, [_probe(i) for i in range(width)]),
            "metric": pd.Categorical.from_codes(metric, metrics),
            "value": value,
            **constant,
        }
    )
    return rows.astype({"checkpoint": "category", "attack": "category"}), incomplete


def _complete(column: Column, side: Side) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return (unit, index, value) of drawn units with all their probes, and how many units were dropped."""
    present = ~np.isnan(column.value)
    index, value = column.index[present], column.value[present]
    unit = side.unit[np.searchsorted(side.index, index)]
    seen = np.bincount(unit, minlength=len(side.names))
    whole = (seen == side.probes) & side.drawn
    keep = whole[unit]
    return unit[keep], index[keep], value[keep], int((side.drawn & (seen > 0) & ~whole).sum())


def _units(audit: Audit, sides: Mapping[str, Side]) -> Any:
    records = [
        {
            "subject": name,
            "side": side,
            "list": list_name(audit, side),
            "split": "threshold" if side == "twin" else "calibrate",
            "order": int(order),
            "half": 0,
            "auditable": True,
            "group": "",
        }
        for side, s in sides.items()
        for name, order in zip(s.names, s.order, strict=True)
        if order >= 0
    ]
    return pd.DataFrame.from_records(records)


def _probes(sides: Mapping[str, Side]) -> Any:
    pairs = [
        (s.names[u], _probe(i))
        for s in sides.values()
        for u, i in zip(s.unit, s.index, strict=True)
        if s.drawn[u]
    ]
    subject, probe = zip(*pairs, strict=True)
    frame = pd.DataFrame({"subject": subject, "probe": probe, "kind": "fact", "form": "plain"})
    return frame.assign(entropy_bits=np.nan, answer_tokens=pd.array([None] * len(frame), dtype="Int64"))


def _probe(index: int) -> str:
    return f"q{index:04d}"
