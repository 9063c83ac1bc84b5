"""RWKU's tables: recall of what should be forgotten and of what stands beside it; likelihoods of texts.

Jin et al. 2024, arXiv:2406.10890; code jinzhuoran/RWKU. ROUGE-L recall of greedy answers by level: fill in the
blank, question, adversarial question; the neighbours have the first two. RWKU's membership table prints means of
texts about forgotten and about retained people side by side, not an AUC. Its package `rouge` neither lowers nor
stems words as `rouge-score` does, so recalls differ slightly from ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.metrics.aggregates.base import AGGREGATES, Input, Scores, checked

_SOURCE = "Jin et al. 2024, RWKU, arXiv:2406.10890; code jinzhuoran/RWKU"
_LEVELS = {"level_1": "blanks", "level_2": "questions", "level_3": "adversarial questions"}
_MEMBERSHIP = {
    "logp": "mean token log-probabilities",
    "logp_per_byte": "mean token log-probabilities over the bytes of the compressed text",
    "min_k_plus_plus_20": "Min-20 %++ scores",
}


def _means(values: dict[str, np.ndarray], factor: float) -> dict[str, float]:
    return {name: factor * float(np.mean(found)) for name, found in values.items()}


@AGGREGATES.register("rwku_forget")
@dataclass(frozen=True)
class RwkuForget:
    """RWKU's recall of forgotten people at three levels, in percent."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "lower"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 100.0)
    inputs: ClassVar[dict[str, Input]] = {
        level: Input(f"ROUGE-L recalls of {words} about forgotten people", 0.0, 1.0)
        for level, words in _LEVELS.items()
    }
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "paper"
    source: ClassVar[str] = _SOURCE

    def table(self, scores: Scores) -> dict[str, float]:
        """Return the mean recall of ``level_1``, ``level_2`` and ``level_3``."""
        return _means(checked(self, scores), 100.0)


@AGGREGATES.register("rwku_neighbor")
@dataclass(frozen=True)
class RwkuNeighbor:
    """RWKU's recall of what stands beside the forgotten people, at two levels, in percent."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 100.0)
    inputs: ClassVar[dict[str, Input]] = {
        level: Input(f"ROUGE-L recalls of {_LEVELS[level]} about neighbours", 0.0, 1.0)
        for level in ("level_1", "level_2")
    }
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "paper"
    source: ClassVar[str] = _SOURCE

    def table(self, scores: Scores) -> dict[str, float]:
        """Return the mean recall of ``level_1`` and ``level_2``."""
        return _means(checked(self, scores), 100.0)


@AGGREGATES.register("rwku_membership")
@dataclass(frozen=True)
class RwkuMembership:
    """RWKU's means of three likelihood scores over texts about forgotten and about retained people."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "lower"
    range: ClassVar[tuple[float | None, float | None]] = (None, None)
    inputs: ClassVar[dict[str, Input]] = {
        f"{side}_{name}": Input(f"{words} of texts about people to be {verb}")
        for side, verb in (("forget", "forgotten"), ("retain", "kept"))
        for name, words in _MEMBERSHIP.items()
    }
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "paper"
    source: ClassVar[str] = _SOURCE

    def table(self, scores: Scores) -> dict[str, float]:
        """Return the six means under their input's name."""
        return _means(checked(self, scores), 1.0)
