"""Does the model still speak? Repetition and variety of words, without another model as judge.

A model that gradient ascent has broken repeats itself or says nothing. Both numbers count words only: fluent
nonsense passes, so they flag a collapse and certify nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Literal

from audit.metrics.base import METRICS, SPOKEN, generation
from audit.models.scoring import Scored

_TOKEN = re.compile(r"\w+|[^\w\s]")


def ngrams(text: str, n: int) -> Counter[tuple[str, ...]]:
    """Return how often each run of ``n`` words or signs stands in ``text``."""
    words = _TOKEN.findall(text)
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))


def entropy_bits(counts: Counter[tuple[str, ...]]) -> float:
    """Return the entropy of a draw from ``counts``, in bits; 0 for none or one kind."""
    total = counts.total()
    return max(0.0, -sum(c / total * math.log2(c / total) for c in counts.values())) if total else 0.0


@METRICS.register("distinct_trigrams")
@dataclass(frozen=True)
class DistinctTrigrams:
    """Share of different ones among the generation's word trigrams; 1 no repetition, 0 nothing said."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "fluency"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = SPOKEN
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "distinct-n, Li et al. 2016, arXiv:1510.03055, with n = 3"

    def value(self, scored: Scored) -> float:
        """Return different / all; texts of one or two words count as one run."""
        text = generation(scored, self.name)
        counts = ngrams(text, min(3, len(_TOKEN.findall(text)))) if text.strip() else Counter()
        return len(counts) / counts.total() if counts else 0.0


@METRICS.register("ngram_entropy")
@dataclass(frozen=True)
class NgramEntropy:
    """Weighted entropy of the generation's word bigrams and trigrams, in bits; RWKU's fluency."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "fluency"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    needs: ClassVar[frozenset[str]] = SPOKEN
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "Jin et al. 2024, RWKU, arXiv:2406.10890; words by a pattern instead of NLTK's"

    def value(self, scored: Scored) -> float:
        """Return (2/3 H(bigrams) + 4/3 H(trigrams)) / 2, bits; 0 below two words."""
        text = generation(scored, self.name)
        return (2 / 3 * entropy_bits(ngrams(text, 2)) + 4 / 3 * entropy_bits(ngrams(text, 3))) / 2
