"""MUSE's verbatim passages (Shi et al. 2024, arXiv:2407.06460): a prompt and how the text goes on.

Rows are ``prompt, gt``. The other parts of MUSE have the fields of other schemas: ``knowmem`` (question, answer)
is read with ``format: questions``; ``privleak``, ``raw``, ``scal`` and ``sust`` (text) as documents, one file per
step. MUSE does not say which article a question is about, so each question stands for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.core.digest import digest_json
from audit.data.benchmarks.base import SCHEMAS, Asked
from audit.data.benchmarks.rows import Row
from audit.data.records import Probe


@SCHEMAS.register("muse_verbmem")
@dataclass(frozen=True)
class MuseVerbatim:
    """MUSE's verbatim passages: beginnings and how they go on."""

    name: ClassVar[str]
    subject: ClassVar[str] = "each passage"
    fields: ClassVar[str] = "prompt, gt"
    is_guessed: ClassVar[bool] = True
    source: ClassVar[str] = "Shi et al. 2024, MUSE, arXiv:2407.06460; News CC-BY-4.0"

    def fits(self, row: Row) -> bool:
        """Return whether the row is a prompt and its continuation."""
        return {"prompt", "gt"} <= row.values.keys()

    def read(self, rows: Sequence[Row]) -> Asked:
        """Return (subject, probe) row by row."""
        return [self._read(row) for row in rows]

    def _read(self, row: Row) -> tuple[str, Probe]:
        prompt, text = row.text("prompt"), row.text("gt")
        subject = f"passage-{digest_json([prompt, text])[:12]}"
        return subject, Probe(subject, "t0", prompt, text, kind="text")
