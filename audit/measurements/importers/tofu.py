"""TOFU's log: authors of 20 consecutive questions; the last are forgotten, the first are asked as retain.

Maini et al. 2024, arXiv:2401.06121; seen in 18 logs: ``retain_*`` holds authors 0 to 19 in order, the
forget lists are the last 20, 10 and 2 of 200 authors, ``mia_*.holdout`` as many authors that no model was
trained on. Real authors and world facts have no blocks: 217 single questions would outvote the 20 retained
authors in a mean over units, so they stay out and are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit.measurements.units import QUESTIONS_PER_AUTHOR, author_of

_AUTHORS = 200
_FORGOTTEN = {"forget01": 2, "forget05": 10, "forget10": 20}
_PREFIXES = {"forget_": "forget", "retain_": "retain", "holdout_": "twin", "ra_": None, "wf_": None}
_PARTS = {"forget": "forget", "retain": "retain", "holdout": "twin"}


@dataclass(frozen=True)
class Tofu:
    """Layout of ``TOFU_EVAL.json``."""

    benchmark: str = "tofu"
    file_name: str = "TOFU_EVAL.json"

    def place(self, metric: str, part: str) -> tuple[str, str] | None:
        """Return (side, measure); metrics without a side's prefix are about the forget list."""
        if part:
            return (_PARTS[part], metric) if part in _PARTS else None
        for prefix, side in _PREFIXES.items():
            if metric.lower().startswith(prefix):
                measure = metric[len(prefix) :]
                return (side, measure) if side and measure else None
        return "forget", metric

    def translate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the log as it is."""
        return data

    def shift(self, metric: str) -> int:
        """Return 0: all metrics of a side ask the rows of one file."""
        return 0

    def forget_list(self, questions: int) -> str:
        """Return forget01, forget05 or forget10 by size, else a name that says the number of questions."""
        by_size = {authors * QUESTIONS_PER_AUTHOR: name for name, authors in _FORGOTTEN.items()}
        return by_size.get(questions, f"forget_{questions}_questions")

    def unit(self, side: str, forget_list: str, index: int, question: str | None) -> tuple[str, bool]:
        """Return the author; one author has one name in all of TOFU's nested forget lists."""
        author = author_of(index)
        if side == "forget" and forget_list in _FORGOTTEN:
            return f"tofu/author/{_AUTHORS - _FORGOTTEN[forget_list] + author}", True
        if side == "retain":
            return f"tofu/author/{author}", True
        return f"tofu/{side}/{forget_list}/author/{author}", True
