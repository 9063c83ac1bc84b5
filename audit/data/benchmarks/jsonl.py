"""Reading a data file into subjects, whatever its published schema."""

from __future__ import annotations

from pathlib import Path

from audit.data.benchmarks.base import choose
from audit.data.benchmarks.files import rows_of
from audit.data.checks import check_disjoint, check_subjects
from audit.data.records import Probe, Side, Subject

__all__ = ["check_disjoint", "read_subjects"]


def read_subjects(path: Path, side: Side, schema: str | None = None) -> tuple[Subject, ...]:
    """Return the subjects of one file, in the order of their first row.

    ``path`` holds JSON lines, one JSON array of objects or Parquet; a ``*`` in its name takes several files.
    ``side`` is named in messages. ``schema`` is a registered format; default: the one the first row fits.

    E101 no such file · E102 nothing in it · E103 not JSON objects · E104 a field is missing or of the wrong
    kind · E105 a subject without probes · E106 a probe twice · E250 another format · E251 not Parquet.
    """
    rows = rows_of(path, side)
    grouped: dict[str, list[Probe]] = {}
    for subject, probe in choose(rows[0], schema).read(rows):
        grouped.setdefault(subject, []).extend([probe] if probe else [])
    subjects = tuple(Subject(name, tuple(probes)) for name, probes in grouped.items())
    check_subjects(subjects, side)
    return subjects
