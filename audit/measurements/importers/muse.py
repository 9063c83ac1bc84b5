"""MUSE's log: questions about a corpus and its passages to forget, other questions to keep; each is a unit.

Shi et al. 2024, arXiv:2407.06460; keys as in open-unlearning's configuration. The passages of ``verbmem`` are
rows of another file than the questions of ``knowmem``, so their numbers are moved out of the way. The texts of
the membership part are a third file without answers: a unit without a single answer would count as not
measured and so as leaking, so they stay out and are counted; their AUC is among the logged aggregates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_PLACES = {
    "forget_knowmem_rouge": "forget",
    "forget_verbmem_rouge": "forget",
    "retain_knowmem_rouge": "retain",
}
_PASSAGES = 1_000_000  # added to the row numbers of passages


@dataclass(frozen=True)
class Muse:
    """Layout of ``MUSE_EVAL.json``."""

    benchmark: str = "muse"
    file_name: str = "MUSE_EVAL.json"

    def place(self, metric: str, part: str) -> tuple[str, str] | None:
        """Return (side, measure) of the three lists of generated answers; None for all else."""
        side = None if part else _PLACES.get(metric.lower())
        return (side, "Q_A_ROUGE") if side else None

    def translate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the log as it is."""
        return data

    def shift(self, metric: str) -> int:
        """Return how far the row numbers of passages are moved."""
        return _PASSAGES if "verbmem" in metric.lower() else 0

    def forget_list(self, questions: int) -> str:
        """Return a name that says the number of questions."""
        return f"forget_{questions}_questions"

    def unit(self, side: str, forget_list: str, index: int, question: str | None) -> tuple[str, bool]:
        """Return the question or passage itself: MUSE does not say which text a question is about."""
        kind, number = ("passage", index - _PASSAGES) if index >= _PASSAGES else ("question", index)
        return f"muse/{side}/{forget_list}/{kind}/{number}", True
