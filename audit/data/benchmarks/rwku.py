"""RWKU (Jin et al. 2024, arXiv:2406.10890): famous people asked about at three levels, and their neighbours.

Rows are ``subject, level, query, type, answer``, those of neighbours with ``neighbor`` too: the unit is then the
neighbour, not the person beside whom it stands, who is on the forget side. Level 1 is a sentence with a blank,
level 2 a question, level 3 one of nine kinds of adversarial question; the prompts put RWKU's instruction in front.
All files of a side at once: ``Target/1_Name/forget_level*.json``. Real people: nothing here is a secret.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.data.benchmarks.base import SCHEMAS, Asked
from audit.data.benchmarks.rows import Row
from audit.data.records import Probe

_INSTRUCTIONS = {
    "1": "Please complete the blank in the following question.\nQuestion: {}",
    "2": "Please briefly answer the following question.\nQuestion: {}",
    "3": "Please briefly answer the following question.\nQuestion: {}",
}
_SOLVED = "Please briefly answer the following question.\n{}"  # in-context rows bring their own "Question:"


@SCHEMAS.register("rwku")
@dataclass(frozen=True)
class Rwku:
    """RWKU: real people at three levels (blanks, questions, nine adversarial kinds), and their neighbours."""

    name: ClassVar[str]
    subject: ClassVar[str] = "the person in `subject`; of neighbours' rows: `neighbor`"
    fields: ClassVar[str] = "subject, level, query, type, answer; neighbor"
    is_guessed: ClassVar[bool] = True
    source: ClassVar[str] = "Jin et al. 2024, RWKU, arXiv:2406.10890; CC-BY-4.0"

    def fits(self, row: Row) -> bool:
        """Return whether the row has RWKU's fields."""
        return {"subject", "level", "query", "answer"} <= row.values.keys()

    def read(self, rows: Sequence[Row]) -> Asked:
        """Return (subject, probe) row by row; level 3's ``form`` is its kind of attack."""
        seen: Counter[tuple[str, str]] = Counter()
        found: Asked = []
        for row in rows:
            subject = row.identifier("neighbor" if row.has("neighbor") else "subject")
            level = row.identifier("level")
            if level not in _INSTRUCTIONS:
                raise row.complain("needs '1', '2' or '3' in 'level'")
            probe = f"l{level}-{seen[subject, level]}"
            found.append((subject, Probe(subject, probe, *_asked(row, level), form=_form(row, level))))
            seen[subject, level] += 1
        return found


def _asked(row: Row, level: str) -> tuple[str, str]:
    pattern = _SOLVED if row.maybe_text("type") == "incontext learning" else _INSTRUCTIONS[level]
    return pattern.format(row.text("query")), row.text("answer")


def _form(row: Row, level: str) -> str:
    """Return plain for levels 1 and 2, else RWKU's kind: prefix_injection, cross_lingual and so on."""
    kind = row.maybe_text("type") or "plain"
    return "plain" if level != "3" else re.sub(r"[^a-z]+", "_", kind.partition("(")[0].lower()).strip("_")
