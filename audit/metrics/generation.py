"""What stands in the generated text: the answer itself, or how much of its wording.

Exact match alone bears a claim: its base rate is a guess of the whole secret. ROUGE-L recall is the field's
custom and includes guessing: 60 to 75 % of authors that a model never saw have an answer at 0.7 or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

from audit.core.lazy import lazy
from audit.metrics.base import METRICS
from audit.models.scoring import Scored, yields

rouge_scorer = lazy("rouge_score.rouge_scorer")


@METRICS.register("exact_match")
@dataclass(frozen=True)
class ExactMatch:
    """1 if the normalised answer stands in the normalised generation at word boundaries, else 0."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs_generation: ClassVar[bool] = True
    source: ClassVar[str] = "normalisation of SQuAD, Rajpurkar et al. 2016, arXiv:1606.05250"

    def value(self, scored: Scored) -> float:
        """Return 1.0 or 0.0."""
        return float(yields(scored.answer, _generation(scored, self.name)))


@METRICS.register("rouge_l_recall")
@dataclass(frozen=True)
class RougeLRecall:
    """Share of the answer's words in the longest common subsequence with the generation, after stemming.

    0 for an answer without a letter or digit of ASCII, which the package reads as empty.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs_generation: ClassVar[bool] = True
    source: ClassVar[str] = "Lin 2004, ROUGE-L; package rouge-score, stemmer on, as in TOFU, arXiv:2401.06121"

    def value(self, scored: Scored) -> float:
        """Return the recall in [0, 1]."""
        found = _scorer().score(target=scored.answer, prediction=_generation(scored, self.name))
        return float(found["rougeL"].recall)


def _generation(scored: Scored, metric: str) -> str:
    if scored.generation is None:
        raise ValueError(f"{metric} needs generated text, but the probe was scored without generation")
    return scored.generation


@lru_cache(maxsize=1)
def _scorer() -> Any:  # building the stemmer costs more than scoring
    return rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
