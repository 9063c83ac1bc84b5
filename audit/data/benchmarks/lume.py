"""LUME (Ramakrishna et al. 2025, arXiv:2502.15097): stories, fictitious persons, biographies.

Rows are ``id, input, output, task``; the id is the unit's id and ``sc1`` (a text to be completed) or ``qa0
… qa4``. The unit is the document or person, so its rows are one subject.

Secrets: in task 2 the identifiers, that is answers of up to three capitals and at least seven digits. In
LUME these are exactly the social security and the phone numbers. E-mail addresses follow from the name and
birth dates are guessable, so neither is a secret; postal addresses are long texts that one wrong comma
fails, so they are facts as well. How LUME drew its numbers is not published (all social security numbers
begin with 900, which leaves at most 20 bits), so the entropy is unknown, not assumed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.data.benchmarks.base import SCHEMAS, Asked
from audit.data.benchmarks.rows import Row
from audit.data.records import Kind, Probe

_ID = re.compile(r"(?P<unit>.+?)(?P<probe>(?:sc|qa)\d+)", re.DOTALL)
_IDENTIFIER = re.compile(r"[A-Z]{0,3}\d{7,}")
_PERSONS = "Task2"


@SCHEMAS.register("lume")
@dataclass(frozen=True)
class Lume:
    """LUME, SemEval-2025 Task 4: stories, fictitious persons with secrets, biographies."""

    name: ClassVar[str]
    subject: ClassVar[str] = "the document or person that `id` names before sc<n> or qa<n>"
    fields: ClassVar[str] = "id, input, output, task"
    is_guessed: ClassVar[bool] = True
    source: ClassVar[str] = "Ramakrishna et al. 2025, arXiv:2502.15097; Apache-2.0"

    def fits(self, row: Row) -> bool:
        """Return whether the row has LUME's fields."""
        return {"id", "input", "output"} <= row.values.keys()

    def read(self, rows: Sequence[Row]) -> Asked:
        """Return (subject, probe) row by row."""
        return [self._read(row) for row in rows]

    def _read(self, row: Row) -> tuple[str, Probe]:
        match = _ID.fullmatch(row.text("id"))
        if match is None:
            raise row.complain("has an 'id' that does not end in sc<n> or qa<n>")
        unit, probe = match["unit"], match["probe"]
        kind = _kind(row, probe)
        return unit, Probe(unit, probe, row.text("input"), row.text("output"), kind=kind)


def _kind(row: Row, probe: str) -> Kind:
    if probe.startswith("sc"):
        return "text"
    identifies = row.values.get("task") == _PERSONS and _IDENTIFIER.fullmatch(row.text("output").strip())
    return "secret" if identifies else "fact"
