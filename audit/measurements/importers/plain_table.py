"""Anybody's numbers: CSV or Parquet files with one metric value a row.

Columns: ``configuration, side, subject, probe, metric, value``; besides, as far as they vary, ``role`` (original,
retrained, candidate), ``attack, dose, seed, draw``. Subjects and probes may be any names: subjects are keyed,
probes numbered. Whoever has measured attacks with a tool of their own gets bounds and a certificate this way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from audit.core.digest import digest_file, keyed
from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.measurements.importers import fields
from audit.measurements.importers.base import IMPORTERS, Request
from audit.measurements.importers.naming import named_roles
from audit.measurements.importers.plain_header import header_of
from audit.measurements.importers.plain_units import complete, probes_of, units_of
from audit.measurements.table import ROLES, ROW_COLUMNS, SIDES, Measurements

pd = lazy("pandas")
pa = lazy("pyarrow")

NEEDED = ("configuration", "side", "subject", "probe", "metric", "value")
OPTIONAL = {"role": "candidate", "attack": "none", "dose": 0.0, "seed": 0, "draw": 0}
_WHOLE = ("seed", "draw")


@IMPORTERS.register("table")
@dataclass(frozen=True)
class PlainTable:
    """All CSV and Parquet files under a folder, as one audit."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    source: ClassVar[str] = (
        "columns configuration, side, subject, probe, metric, value; role, attack, dose, seed, draw"
    )

    def read(self, folder: Path, request: Request) -> list[Measurements]:
        """Return one ``Measurements``.

        E130 no file · E132 no forget row · E133 a role nobody knows · E151 unreadable · E152 a column is missing ·
        E153 an empty cell or a value that is no number · E154 a word that is none of the allowed ones · E155 one
        thing said twice · E156 nothing measured without an attack.
        """
        paths = sorted(p for p in folder.rglob("*") if p.suffix in (".csv", ".parquet"))
        if not paths:
            raise AuditError("E130", f"{folder} holds no .csv or .parquet", "name a folder with tables")
        frame = pd.concat([_frame(path) for path in paths], ignore_index=True)
        frame = _keyed(_with_roles(frame, request), request.key)
        _refuse_contradictions(frame)
        _refuse_attacked_only(frame)
        units = units_of(frame, request, sorted(map(digest_file, paths)))
        kept = complete(frame, units)
        rows = kept.assign(checkpoint="", fold=0)[list(ROW_COLUMNS)].reset_index(drop=True)
        header = header_of(
            frame, kept, units, request, importer=f"{self.name}@{self.version}", folder=folder, paths=paths
        )
        return [Measurements(rows, units, probes_of(frame, units), header)]


def _frame(path: Path) -> Any:
    """Return one file's rows with every column, words as text, numbers as numbers."""
    try:
        frame = (
            pd.read_csv(path, dtype=str, keep_default_na=False)
            if path.suffix == ".csv"
            else pd.read_parquet(path)
        )
    except (ValueError, OSError, pa.ArrowException) as error:  # its text may quote the file
        raise AuditError(
            "E151", f"{path.name} cannot be read ({type(error).__name__})", "write it again as CSV or Parquet"
        ) from None
    missing = [column for column in NEEDED if column not in frame.columns]
    if missing:
        raise AuditError(
            "E152", f"{path.name} lacks the columns {', '.join(missing)}", f"needed: {', '.join(NEEDED)}"
        )
    frame = frame.assign(**{name: value for name, value in OPTIONAL.items() if name not in frame.columns})
    return _typed(frame[[*NEEDED, *OPTIONAL]], path)


def _typed(frame: Any, path: Path) -> Any:
    numbers = {name: pd.to_numeric(frame[name], errors="coerce") for name in ("value", "dose", *_WHOLE)}
    words = {name: frame[name].astype(str).str.strip() for name in frame.columns if name not in numbers}
    bad = sum(
        int((~np.isfinite(column.astype(float))).sum()) for name, column in numbers.items() if name != "value"
    )
    bad += sum(int((column == "").sum() + frame[name].isna().sum()) for name, column in words.items())
    bad += int((numbers["value"].isna() & ~_is_absent(frame["value"])).sum())
    bad += sum(int((numbers[name].fillna(0) % 1 != 0).sum()) for name in _WHOLE)
    if bad:
        raise AuditError(
            "E153",
            f"{path.name} has {bad} empty cells or cells that are no number",
            "only `value` may be absent",
        )
    typed = pd.DataFrame({**words, **numbers}).astype(
        {"value": float, "dose": float, "seed": int, "draw": int}
    )
    return typed[np.isfinite(typed["value"])]


def _is_absent(column: Any) -> Any:
    """Return where a value is left open, in any of the usual ways of writing it."""
    return column.isna() | column.astype(str).str.strip().str.lower().isin(
        ["", "nan", "na", "none", "null", "inf", "-inf"]
    )


def _with_roles(frame: Any, request: Request) -> Any:
    for column, allowed in (("side", SIDES), ("role", ROLES)):
        odd = sorted(set(frame[column]) - set(allowed))
        if odd:
            raise AuditError(
                "E154", f"{len(odd)} values of {column} are none of {', '.join(allowed)}", "mend the column"
            )
    names = sorted(frame["configuration"].unique())
    roles = named_roles(names, request.roles)
    return frame.assign(
        role=[roles.get(n, r) for n, r in zip(frame["configuration"], frame["role"], strict=True)]
    )


def _keyed(frame: Any, key: bytes) -> Any:
    """Replace subjects by pseudonyms and probes by numbers; drop values outside their metric's range."""
    subjects = {name: keyed(key, f"table/{name}") for name in frame["subject"].unique()}
    frame = frame.assign(subject=frame["subject"].map(subjects))
    order = frame[["subject", "probe"]].drop_duplicates().sort_values(["subject", "probe"])
    numbered = order.assign(number=[f"q{n:04d}" for n in order.groupby("subject").cumcount()])
    frame = (
        frame.merge(numbered, on=["subject", "probe"])
        .drop(columns="probe")
        .rename(columns={"number": "probe"})
    )
    for metric in frame["metric"].unique():
        at = frame["metric"] == metric
        frame.loc[at, "value"] = fields.cleaned(metric, frame.loc[at, "value"].to_numpy())
    return frame.dropna(subset=["value"])


def _refuse_contradictions(frame: Any) -> None:
    """Raise E155 for a row that stands twice, a subject on two sides, or a configuration with two roles."""
    key = ["configuration", "seed", "attack", "dose", "draw", "subject", "probe", "metric"]
    found = {
        "values stand there twice": int(frame.duplicated(key).sum()),
        "subjects stand on two sides": int((frame.groupby("subject")["side"].nunique() > 1).sum()),
        "configurations have two roles": int((frame.groupby("configuration")["role"].nunique() > 1).sum()),
    }
    for what, count in found.items():
        if count:
            raise AuditError("E155", f"the tables contradict themselves: {count} {what}", "keep one of them")


def _refuse_attacked_only(frame: Any) -> None:
    """Raise E156 without one row of attack ``none`` at dose 0: utility and the control ``original`` are read there."""
    if not ((frame["attack"] == OPTIONAL["attack"]) & (frame["dose"] == OPTIONAL["dose"])).any():
        raise AuditError(
            "E156",
            "no row of the tables was measured without an attack",
            "add what the models answer unattacked: attack none, dose 0, or neither column",
        )
