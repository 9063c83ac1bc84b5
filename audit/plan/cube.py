"""From long rows to dense arrays: metric values by configuration, cell, unit and probe.

A cell is an (attack, dose). NaN stands wherever nothing was measured; nothing is ever filled in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from audit.core.lazy import lazy
from audit.measurements.table import Measurements

pd = lazy("pandas")

Cell = tuple[str, float]


@dataclass(frozen=True, eq=False)
class Cube:
    """Dense view of one measurements table.

    Attributes
    ----------
    configurations: (C,) names, references first as in the header.
    cells: (A,) attack and dose, in lock order, doses ascending.
    subjects: (U,) all units; probes are numbered within each subject.
    exists: (U, P) bool, the subject has a p-th probe.
    secret: (U, P) bool, that probe is a secret.

    """

    configurations: tuple[str, ...]
    cells: tuple[Cell, ...]
    subjects: tuple[str, ...]
    exists: np.ndarray
    secret: np.ndarray
    not_asked: np.ndarray  # (A, U, P) bool
    known: np.ndarray  # (U, P) bool, retained probes that the original answers right
    samples: tuple[int, ...]  # (A,) answers drawn per question, as announced; 1 where nothing is drawn
    _codes: dict[str, np.ndarray]
    _metrics: Any  # categorical, one per row
    _cut: dict[tuple[str, int | None], np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, measurements: Measurements) -> Cube:
        """Index the rows once; arrays of single metrics are cut out on demand."""
        header, probes, rows = measurements.header, measurements.probes, measurements.rows
        configurations = tuple(item["configuration"] for item in header["configurations"])
        cells = _cells(header)
        subjects = tuple(measurements.units["subject"])
        place = _probe_places(probes, subjects)
        exists, secret = _probe_masks(probes, place, subjects)
        unit = _codes(rows["subject"], subjects)
        codes = {
            "configuration": _codes(rows["configuration"], configurations),
            "cell": _cell_codes(rows, cells),
            "fold": rows["fold"].to_numpy(np.int64),
            "unit": unit,
            "probe": _probe_codes(rows["probe"], unit, subjects, place),
            "draw": rows["draw"].to_numpy(np.int64),
            "value": rows["value"].to_numpy(np.float64),
        }
        not_asked = np.zeros((len(cells), *exists.shape), dtype=bool)
        unit_of = {subject: i for i, subject in enumerate(subjects)}
        for attack, dose, subject, probe in header.get("not_asked", ()):
            if subject in unit_of and (attack, float(dose)) in cells:
                not_asked[cells.index((attack, float(dose))), unit_of[subject], place[subject, probe]] = True
        known = np.zeros_like(exists)
        for subject, names in header.get("known", {}).items():
            for name in names:
                if subject in unit_of:
                    known[unit_of[subject], place[subject, name]] = True
        return cls(
            configurations,
            cells,
            subjects,
            exists,
            secret,
            not_asked,
            known,
            _samples(header, cells),
            codes,
            pd.Categorical(rows["metric"]),
        )

    def values(self, metric: str, fold: int | None = None) -> np.ndarray:
        """Return (C, A, U, P) values of one metric; of several draws the largest, as the attacker would keep it.

        ``fold`` None takes every row (a forget unit is measured in one fold only); 1 or 2 takes the rows of that
        fold, or of fold 0, which is how twins are looked up for a half.
        """
        if (metric, fold) not in self._cut:
            self._cut[metric, fold] = self._cut_out(metric, fold)
        return self._cut[metric, fold]

    def draws(self, metric: str, cell: int) -> np.ndarray:
        """Return (C, U, P, M) values of one metric in one cell, draw by draw; M as announced for its attack."""
        size = self.samples[cell]
        out = np.full((len(self.configurations), *self.exists.shape, size), np.nan)
        if metric not in self._metrics.categories:
            return out
        drawn = self._codes["draw"]
        chosen = self._metrics.codes == self._metrics.categories.get_loc(metric)
        chosen &= (self._codes["cell"] == cell) & (drawn >= 0) & (drawn < size)
        at = tuple(self._codes[name][chosen] for name in ("configuration", "unit", "probe", "draw"))
        np.fmax.at(out, at, self._codes["value"][chosen])
        return out

    def _cut_out(self, metric: str, fold: int | None) -> np.ndarray:
        if metric not in self._metrics.categories:
            return np.full((len(self.configurations), len(self.cells), *self.exists.shape), np.nan)
        chosen = self._metrics.codes == self._metrics.categories.get_loc(metric)
        if fold is not None:
            chosen &= (self._codes["fold"] == fold) | (self._codes["fold"] == 0)
        out = np.full((len(self.configurations), len(self.cells), *self.exists.shape), np.nan)
        at = tuple(self._codes[name][chosen] for name in ("configuration", "cell", "unit", "probe"))
        inside = at[1] >= 0
        np.fmax.at(out, tuple(axis[inside] for axis in at), self._codes["value"][chosen][inside])
        return out

    def rows_of(self, subjects: Sequence[str]) -> np.ndarray:
        """Return the indices of ``subjects`` on the unit axis, in the order given."""
        return np.array([self._places[s] for s in subjects], dtype=np.int64)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {subject: i for i, subject in enumerate(self.subjects)}


def _cells(header: dict[str, Any]) -> tuple[Cell, ...]:
    """Every planned (attack, dose), in the order of the coverage record."""
    return tuple(dict.fromkeys((cell["attack"], float(cell["dose"])) for cell in header["coverage"]))


def _samples(header: dict[str, Any], cells: tuple[Cell, ...]) -> tuple[int, ...]:
    announced = {record["attack"]: int(record.get("samples", 1)) for record in header.get("attacks", ())}
    return tuple(announced.get(attack, 1) for attack, _ in cells)


def _codes(column: Any, names: tuple[str, ...]) -> np.ndarray:
    return pd.Categorical(column, categories=list(names)).codes.astype(np.int64)


def _cell_codes(rows: Any, cells: tuple[Cell, ...]) -> np.ndarray:
    """Return each row's place in ``cells``, -1 for a cell that was not planned."""
    attacks = tuple(dict.fromkeys(attack for attack, _ in cells))
    doses = tuple(dict.fromkeys(dose for _, dose in cells))
    table = np.full(
        (len(attacks) + 1, len(doses) + 1), -1, dtype=np.int64
    )  # the last row and column: unknown
    for number, (attack, dose) in enumerate(cells):
        table[attacks.index(attack), doses.index(dose)] = number
    return table[_codes(rows["attack"], attacks), pd.Index(doses).get_indexer(rows["dose"])]


def _probe_places(probes: Any, subjects: tuple[str, ...]) -> dict[tuple[str, str], int]:
    counts = dict.fromkeys(subjects, 0)
    places: dict[tuple[str, str], int] = {}
    for subject, probe in zip(probes["subject"], probes["probe"], strict=True):
        if (subject, probe) not in places and subject in counts:
            places[subject, probe] = counts[subject]
            counts[subject] += 1
    return places


def _probe_masks(probes: Any, place: dict, subjects: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    shape = (len(subjects), max(place.values(), default=0) + 1)
    exists, secret = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    unit_of = {subject: i for i, subject in enumerate(subjects)}
    for subject, probe, kind in zip(probes["subject"], probes["probe"], probes["kind"], strict=True):
        if subject in unit_of:
            exists[unit_of[subject], place[subject, probe]] = True
            secret[unit_of[subject], place[subject, probe]] = kind == "secret"
    return exists, secret


def _probe_codes(
    column: Any, unit: np.ndarray, subjects: tuple[str, ...], place: dict[tuple[str, str], int]
) -> np.ndarray:
    names = pd.Categorical(column)
    code = {name: i for i, name in enumerate(names.categories)}
    unit_of = {subject: i for i, subject in enumerate(subjects)}
    table = np.full((len(subjects), max(len(code), 1)), -1, dtype=np.int64)
    for (subject, probe), number in place.items():
        if probe in code:
            table[unit_of[subject], code[probe]] = number
    return table[unit, names.codes]
