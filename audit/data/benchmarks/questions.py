"""Lists of questions without a subject: each question stands for itself.

For TOFU's real authors and world facts without wrong answers, for MUSE's questions about a corpus, and for any
file of the kind. Such rows look like TOFU's, whose authors are blocks of 20, so the plan has to say it:
questions about one person that pose as independent make every bound too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.core.digest import digest_json
from audit.data.benchmarks.base import SCHEMAS, Asked
from audit.data.benchmarks.rows import Row
from audit.data.records import Probe


@SCHEMAS.register("questions")
@dataclass(frozen=True)
class Questions:
    """Questions and answers about nobody in particular: TOFU's real authors and world facts, MUSE's knowmem."""

    name: ClassVar[str]
    subject: ClassVar[str] = "each question"
    fields: ClassVar[str] = "question, answer; paraphrased_*, perturbed_answer"
    is_guessed: ClassVar[bool] = False
    source: ClassVar[str] = (
        "TOFU, arXiv:2401.06121 (MIT); MUSE, arXiv:2407.06460 (CC-BY-4.0, Books: copyright)"
    )

    def fits(self, row: Row) -> bool:
        """Return whether the row has a question and an answer."""
        return {"question", "answer"} <= row.values.keys()

    def read(self, rows: Sequence[Row]) -> Asked:
        """Return (subject, probe) row by row; a subject is named by the digest of its question and answer."""
        return [self._read(row) for row in rows]

    def _read(self, row: Row) -> tuple[str, Probe]:
        question, answer = row.text("question"), row.text("answer")
        subject = f"question-{digest_json([question, answer])[:12]}"
        return subject, Probe(
            subject,
            "q0",
            question,
            answer,
            paraphrased_questions=row.texts("paraphrased_question"),
            paraphrased_answer=row.maybe_text("paraphrased_answer"),
            perturbed_answers=row.texts("perturbed_answer"),
        )
