"""DUET's log: questions about cities made from Wikidata relations; the unit is the city.

A question reads "What is the <relation> of <City>?". Relations are written in lower case, so the city starts
after the first " of " that no lower-case Latin letter follows. Next comes the text after the last " of "
("as-Somewhere"), then the longest run of capitalised words ("Who was <City> named after?"). Read against all
1,464 questions of the ten 8B logs: the first rule answers 1,457, the others 7; every relation left over is
one of Wikidata's, so none is wrong. Two cities of one name become one unit: clusters only grow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_AFTER_RELATION = re.compile(r" of (?=[^\sa-z])")
_WORD = r"[^\W\d_a-z][\w'’.-]*"
_CAPITALISED = re.compile(rf"{_WORD}(?: {_WORD})*")
_SIDES = {"forget_": "forget", "holdout_": "retain", "retain_": "retain"}


def question_of(prompt: str) -> str | None:
    """Return the last question inside a rendered chat prompt, or None."""
    found = re.findall(r"[^\n?]+\?", prompt)
    return found[-1].strip() if found else None


def entity_of(question: str) -> str | None:
    """Return the city a question is about, or None if no rule applies."""
    body = question.rstrip("? ")
    if found := _AFTER_RELATION.search(body):
        return body[found.end() :].strip() or None
    if " of " in body:
        return body.rpartition(" of ")[2].strip() or None
    spans = _CAPITALISED.findall(body.partition(" ")[2])
    return max(spans, key=len, default=None)


@dataclass(frozen=True)
class Duet:
    """Layout of ``DUET_EVAL.json``."""

    benchmark: str = "duet"
    file_name: str = "DUET_EVAL.json"

    def place(self, metric: str, part: str) -> tuple[str, str] | None:
        """Return (side, measure); ``holdout_*`` was trained on before and is to be kept, hence retain."""
        for prefix, side in _SIDES.items():
            if not part and metric.lower().startswith(prefix) and metric[len(prefix) :]:
                return side, metric[len(prefix) :]
        return None

    def translate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the log as it is."""
        return data

    def shift(self, metric: str) -> int:
        """Return 0: all metrics of a side ask the rows of one file."""
        return 0

    def forget_list(self, questions: int) -> str:
        """Return a name that says the number of questions."""
        return f"forget_{questions}_questions"

    def unit(self, side: str, forget_list: str, index: int, question: str | None) -> tuple[str, bool]:
        """Return the city, or the question itself when it names none.

        66 cities stand in both lists with different questions: they are a unit on each side.
        """
        asked = question_of(question) if question else None
        entity = entity_of(asked) if asked else None
        if entity is None:
            return f"duet/{side}/{forget_list}/question/{index}", False
        return f"duet/{side}/{entity}", True
