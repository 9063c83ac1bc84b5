"""TOFU (Maini et al. 2024, arXiv:2401.06121): 20 consecutive questions are one author.

Rows are ``question, answer``, in the perturbed lists with ``paraphrased_question, paraphrased_answer,
perturbed_answer``. Rows with wrong answers but without another wording (``real_authors``, ``world_facts``)
are about a different entity each, so each is its own subject. Nothing in TOFU is a secret.

A subject is named by the digest of its questions and answers: the same author has the same name in
forget05 and forget10, so a list that overlaps another one is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from audit.core.digest import digest_json
from audit.data.benchmarks.base import SCHEMAS, Asked
from audit.data.benchmarks.rows import Row
from audit.data.records import Probe
from audit.measurements.units import QUESTIONS_PER_AUTHOR, author_of


@SCHEMAS.register("tofu")
@dataclass(frozen=True)
class Tofu:
    """TOFU: fictitious authors of 20 questions each; all forget, retain and holdout lists, plain or perturbed."""

    name: ClassVar[str]
    subject: ClassVar[str] = "an author, 20 consecutive rows; real authors and world facts: each question"
    fields: ClassVar[str] = "question, answer; paraphrased_question, paraphrased_answer, perturbed_answer"
    is_guessed: ClassVar[bool] = True
    source: ClassVar[str] = "Maini et al. 2024, arXiv:2401.06121; MIT"

    def fits(self, row: Row) -> bool:
        """Return whether the row is a question and an answer without a subject or options to choose from."""
        return {"question", "answer"} <= row.values.keys() and not {"subject", "choices"} & row.values.keys()

    def read(self, rows: Sequence[Row]) -> Asked:
        """Return (subject, probe) row by row; E104 when rows without a subject are no blocks of 20."""
        if all(row.has("perturbed_answer") and not row.has("paraphrased_question") for row in rows):
            return [pair for row in rows for pair in _block("question", [row])]
        if len(rows) % QUESTIONS_PER_AUTHOR:
            raise rows[0].complain(
                f"has no 'subject', and {len(rows)} rows are no whole blocks of {QUESTIONS_PER_AUTHOR} as in TOFU"
            )
        blocks = groupby(enumerate(rows), key=lambda item: author_of(item[0]))
        return [pair for _, block in blocks for pair in _block("author", [row for _, row in block])]


def _block(unit: str, rows: Sequence[Row]) -> list[tuple[str, Probe | None]]:
    content = [[row.text("question"), row.text("answer")] for row in rows]
    subject = f"{unit}-{digest_json(content)[:12]}"
    return [(subject, _probe(row, subject, position)) for position, row in enumerate(rows)]


def _probe(row: Row, subject: str, position: int) -> Probe:
    return Probe(
        subject,
        f"q{position}",
        question=row.text("question"),
        answer=row.text("answer"),
        paraphrased_questions=row.texts("paraphrased_question"),
        paraphrased_answer=row.maybe_text("paraphrased_answer"),
        perturbed_answers=row.texts("perturbed_answer"),
    )
