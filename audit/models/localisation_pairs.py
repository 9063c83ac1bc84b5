"""Pairs of questions that differ in whom they are about: the counterfactuals of activation patching.

Patching needs the same token at the same place in both, so the two questions have equally many tokens. In a list of
persons asked in the same words the nearest other question is the same one about somebody else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.core.errors import AuditError
from audit.models.batches import Example
from audit.models.language_model import Encoded, LanguageModel


@dataclass(frozen=True)
class Pair:
    """A question and one about somebody else, equally many tokens, each followed by the first one's answer."""

    asked: Encoded
    other: Encoded

    @property
    def subject(self) -> tuple[int, ...]:
        """Positions at which the questions differ."""
        both = zip(self.asked.ids, self.other.ids, strict=True)
        return tuple(place for place, (one, two) in enumerate(both) if one != two)


def pairs(model: LanguageModel, examples: Sequence[Example], others: Sequence[Example]) -> list[Pair]:
    """Return for each example the question of ``others`` most like it: as long, fewest tokens different, but one.

    In a list of persons that is the same question about another one. Of equally near ones the first is taken;
    examples for which no other question is as long are left out. E293 where that leaves none.
    """
    by_length: dict[int, dict[tuple[int, ...], None]] = defaultdict(dict)
    for other in others:
        prompt = model.encode_prompt(other.question)
        by_length[len(prompt)][prompt] = None
    table = {length: np.array(list(found)) for length, found in by_length.items()}
    made = [_nearest(model.encode(e.question, e.answer), table) for e in examples]
    found = [pair for pair in made if pair is not None]
    if not found:
        raise AuditError(
            "E293",
            f"none of {len(others)} other questions is as long as one of {len(examples)} and different",
            "give other persons' questions in the same words, or name layers instead",
        )
    return found


def _nearest(item: Encoded, table: dict[int, np.ndarray]) -> Pair | None:
    prompt = np.array(item.ids[: item.answer_start])
    candidates = table.get(len(prompt), np.empty((0, len(prompt)), dtype=int))
    different = (candidates != prompt).sum(axis=1)
    if not different.any():
        return None
    nearest = candidates[np.argmin(np.where(different > 0, different, len(prompt) + 1))]
    answer = item.ids[item.answer_start : len(item.ids) - item.eos]
    return Pair(
        Encoded((*prompt.tolist(), *answer), item.answer_start, False),
        Encoded((*nearest.tolist(), *answer), item.answer_start, False),
    )
