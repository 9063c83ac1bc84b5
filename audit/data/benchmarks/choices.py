"""Multiple choice as in WMDP (Li et al. 2024, arXiv:2403.03218) and MMLU (arXiv:2009.03300): the letter answers.

Rows are ``question, choices`` (a list) and ``answer`` (its position from 0). The question shows the options as
lettered lines, the answer is a letter, the other letters are the wrong answers; use ``prompt: plain`` and the
metrics ``choice`` and ``normalised_probability``. MMLU's ``subject`` is a school subject: its questions resemble
each other, so they are one unit; WMDP's questions name no source and stand for themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import ClassVar

from audit.core.digest import digest_json
from audit.data.benchmarks.base import SCHEMAS, Asked
from audit.data.benchmarks.rows import Row
from audit.data.records import Probe


@SCHEMAS.register("choices")
@dataclass(frozen=True)
class Choices:
    """Multiple choice of WMDP and MMLU: lettered options, a letter as answer."""

    name: ClassVar[str]
    subject: ClassVar[str] = "WMDP: each question; MMLU: the school subject in `subject`"
    fields: ClassVar[str] = "question, choices, answer (position from 0); subject (MMLU)"
    is_guessed: ClassVar[bool] = True
    source: ClassVar[str] = "WMDP, arXiv:2403.03218; MMLU, arXiv:2009.03300; both MIT"

    def fits(self, row: Row) -> bool:
        """Return whether the row has options to choose from."""
        return {"question", "choices", "answer"} <= row.values.keys()

    def read(self, rows: Sequence[Row]) -> Asked:
        """Return (subject, probe) row by row; E104 where the answer is no position in the choices."""
        seen: Counter[str] = Counter()
        found: Asked = []
        for row in rows:
            question, letters, answer = _lettered(row)
            own = f"question-{digest_json([question, answer])[:12]}"
            subject = row.identifier("subject") if row.has("subject") else own
            wrong = tuple(letter for letter in letters if letter != answer)
            probe = Probe(subject, f"q{seen[subject]}", question, answer, perturbed_answers=wrong)
            found.append((subject, probe))
            seen[subject] += 1
        return found


def _lettered(row: Row) -> tuple[str, str, str]:
    """Return the question with its options, the letters used, and the right one."""
    options = row.texts("choices")
    right = row.values["answer"]
    if isinstance(right, bool) or not isinstance(right, int) or not 0 <= right < len(options) <= 26:
        raise row.complain(f"needs a position in its {len(options)} 'choices' as 'answer'")
    letters = ascii_uppercase[: len(options)]
    lines = [f"{letter}. {option}" for letter, option in zip(letters, options, strict=True)]
    return "\n".join([row.text("question"), *lines, "Answer:"]), letters, letters[right]
