"""The project's own schema: JSON lines, one probe a line.

``subject, question, answer``; optional ``secret`` (bool), ``entropy_bits``, ``paraphrased_question`` (text or
list), ``paraphrased_answer``, ``perturbed_answers`` (list; TOFU's ``perturbed_answer`` is taken too),
``wordings`` (object: kind of attack -> question or list of questions, see the attack ``reworded``) and ``probe``
(its name within the subject; ``q0, q1, …`` otherwise).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.data.benchmarks.base import SCHEMAS, Asked
from audit.data.benchmarks.rows import Row
from audit.data.records import Probe

_OTHERS = ({"query"}, {"choices"}, {"text"}, {"neighbor"})  # rows of others that name a subject as well


@SCHEMAS.register("own")
@dataclass(frozen=True)
class Own:
    """The project's own rows: one probe a line, which names its subject."""

    name: ClassVar[str]
    subject: ClassVar[str] = "whoever `subject` names"
    fields: ClassVar[str] = (
        "subject, question, answer; secret, entropy_bits, paraphrased_*, perturbed_answers, wordings"
    )
    is_guessed: ClassVar[bool] = True
    source: ClassVar[str] = "this project"

    def fits(self, row: Row) -> bool:
        """Return whether the row names its subject and is nobody else's."""
        return "subject" in row.values and not any(other <= row.values.keys() for other in _OTHERS)

    def read(self, rows: Sequence[Row]) -> Asked:
        """Return (subject, probe) row by row; None for a row that names a subject and asks nothing."""
        asked: Counter[str] = Counter()
        found: Asked = []
        for row in rows:
            subject = row.identifier("subject")
            empty = not row.has("question") and not row.has("answer")
            found.append((subject, None if empty else _probe(row, subject, asked[subject])))
            asked[subject] += 1
        return found


def _probe(row: Row, subject: str, position: int) -> Probe:
    return Probe(
        subject,
        row.maybe_text("probe") or f"q{position}",
        question=row.text("question"),
        answer=row.text("answer"),
        kind="secret" if row.flag("secret") else "fact",
        entropy_bits=row.bits("entropy_bits"),
        paraphrased_questions=row.texts("paraphrased_question"),
        paraphrased_answer=row.maybe_text("paraphrased_answer"),
        perturbed_answers=row.texts("perturbed_answers") or row.texts("perturbed_answer"),
        wordings=row.pairs("wordings"),
    )
