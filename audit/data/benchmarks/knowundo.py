"""KnowUnDo's privacy part (Tian et al. 2024, arXiv:2407.01920): fictitious authors, asked by name.

Rows are ``text`` (a question) and ``labels`` (its answer), without a subject. The unit is the person whose name
stands in the question: of the capitalised names in it, the one that most questions of the file contain. A
question without any stands for itself. KnowUnDo forgets what is private about a person and keeps the rest, so
the same people stand on both sides with different questions; a subject is named by the digest of its rows
and is a unit of its own on either side.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.core.digest import digest_json
from audit.data.benchmarks.base import SCHEMAS, Asked
from audit.data.benchmarks.rows import Row
from audit.data.records import Probe

_POSSESSIVE = re.compile(r"'s?(?=[\s?.,;:!]|$)")
_RUN = re.compile(r"[^\W\d_a-z][\w'-]*(?: [^\W\d_a-z][\w'-]*)+")


@SCHEMAS.register("knowundo")
@dataclass(frozen=True)
class KnowUnDo:
    """KnowUnDo, privacy: questions about fictitious authors, private or not."""

    name: ClassVar[str]
    subject: ClassVar[str] = "the person named in the question, on each side for itself"
    fields: ClassVar[str] = "text, labels"
    is_guessed: ClassVar[bool] = True
    source: ClassVar[str] = "Tian et al. 2024, KnowUnDo, arXiv:2407.01920; MIT"

    def fits(self, row: Row) -> bool:
        """Return whether the row is a question with its answer as labels."""
        return {"text", "labels"} <= row.values.keys()

    def read(self, rows: Sequence[Row]) -> Asked:
        """Return (subject, probe) row by row."""
        people = persons([row.text("text") for row in rows])
        owned: dict[str, list[list[str]]] = {}
        for person, row in zip(people, rows, strict=True):
            owned.setdefault(person, []).append([row.text("text"), row.text("labels")])
        names = {person: f"person-{digest_json(content)[:12]}" for person, content in owned.items()}
        seen: Counter[str] = Counter()
        found: Asked = []
        for person, row in zip(people, rows, strict=True):
            subject = names[person]
            found.append((subject, Probe(subject, f"q{seen[subject]}", row.text("text"), row.text("labels"))))
            seen[subject] += 1
        return found


def persons(questions: Sequence[str]) -> list[str]:
    """Return, for each question, the name in it that most of the questions contain; the question if none."""
    named = [names_in(question) for question in questions]
    counts = Counter(name for names in named for name in set(names))
    return [
        max(names, key=lambda name: (counts[name], len(name)), default=question)
        for names, question in zip(named, questions, strict=True)
    ]


def names_in(question: str) -> list[str]:
    """Return runs of two or more capitalised words; a possessive or a comma ends a run.

    A run at the very beginning may start with a question word, so it counts without its first word, too.
    """
    found = [run.split() for run in _RUN.findall(_POSSESSIVE.sub(" |", question.replace("’", "'")))]
    opening = question.split(maxsplit=1)[:1]
    found += [run[1:] for run in found[:1] if run[:1] == opening and len(run) > 2]
    return [" ".join(run) for run in found]
