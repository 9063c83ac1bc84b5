"""Texts to be forgotten whole: MUSE's corpora, RWKU's membership texts, PCH's documents, WMDP's corpora.

Rows hold ``text``; a file may also be a JSON array of bare texts, as PCH's lists of sequential requests are,
in their order. A likelihood needs something before it, so the first word is the prompt and the rest the
answer; use ``prompt: plain``. RWKU's texts carry a ``subject``; all texts about one person are one subject.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.core.digest import digest_json
from audit.data.benchmarks.base import SCHEMAS, Asked
from audit.data.benchmarks.rows import Row
from audit.data.records import Probe


@SCHEMAS.register("documents")
@dataclass(frozen=True)
class Documents:
    """Whole texts: MUSE's raw, privleak, scal and sust, RWKU's membership sets, PCH's requests, WMDP's corpora."""

    words: int | None = None  # keep at most so many words of each text; None: all

    name: ClassVar[str]
    subject: ClassVar[str] = "each text; RWKU: the person in `subject`"
    fields: ClassVar[str] = "text; subject (RWKU). Or a JSON array of texts"
    is_guessed: ClassVar[bool] = True
    source: ClassVar[str] = "MUSE, arXiv:2407.06460; RWKU, arXiv:2406.10890; PCH, arXiv:2601.21682"

    def __post_init__(self) -> None:
        if self.words is not None and self.words < 2:
            raise ValueError(f"words needs a value of at least 2, got {self.words}")

    def fits(self, row: Row) -> bool:
        """Return whether the row is a text and no question."""
        return "text" in row.values and not {"labels", "question", "query"} & row.values.keys()

    def read(self, rows: Sequence[Row]) -> Asked:
        """Return (subject, probe) row by row; E104 for a text of a single word."""
        seen: Counter[str] = Counter()
        found: Asked = []
        for row in rows:
            words = row.text("text").split(maxsplit=-1 if self.words is None else self.words)
            first, rest = words[0], " ".join(words[1 : self.words])
            if not rest:
                raise row.complain("has a 'text' of a single word")
            subject = row.identifier("subject") if row.has("subject") else f"text-{digest_json(words)[:12]}"
            found.append((subject, Probe(subject, f"t{seen[subject]}", first, rest, kind="text")))
            seen[subject] += 1
        return found
