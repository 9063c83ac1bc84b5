"""How much of the answer the model says by itself, read from one teacher-forced pass.

``greedy[t]`` says whether the arg max at position t, given the question and the answer's tokens before t, is
the answer's token t. From it follow the share of such tokens, the shortest prefix that unlocks the rest, and
whether greedy decoding would give the whole answer. Tokens without EOS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.metrics.base import FORWARD, METRICS
from audit.models.scoring import Scored, extraction_strength


@METRICS.register("extraction_strength")
@dataclass(frozen=True)
class ExtractionStrength:
    """1 - k/T, k the shortest prefix of the answer after which all the rest is greedy; 0: nothing extracted.

    open-unlearning's implementation stops at 1/T instead of 0 where no suffix is extracted.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = FORWARD
    standard: ClassVar[bool] = True
    source: ClassVar[str] = "Carlini et al. 2021, arXiv:2012.07805; as in UWC, arXiv:2406.09179"

    def value(self, scored: Scored) -> float:
        """Return the share of the answer that its own beginning unlocks."""
        return float(extraction_strength(scored.greedy))


@METRICS.register("exact_memorization")
@dataclass(frozen=True)
class ExactMemorization:
    """Share of answer tokens that are the teacher-forced arg max."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = FORWARD
    standard: ClassVar[bool] = True
    source: ClassVar[str] = "Tirumala et al. 2022, arXiv:2205.10770"

    def value(self, scored: Scored) -> float:
        """Return the mean of ``greedy``."""
        return float(np.mean(scored.greedy))


@METRICS.register("forced_match")
@dataclass(frozen=True)
class ForcedMatch:
    """1 if every answer token is the teacher-forced arg max: greedy decoding then begins with the answer."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = FORWARD
    standard: ClassVar[bool] = True
    source: ClassVar[str] = "exact match by one forward pass: greedy decoding agrees with it token by token"

    def value(self, scored: Scored) -> float:
        """Return 1.0 or 0.0."""
        return float(np.all(scored.greedy))
