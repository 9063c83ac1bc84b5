"""What stands in the generated text: the answer itself, or how much of its wording.

Exact match alone bears a claim: its base rate is a guess of the whole secret. ROUGE-L recall is the field's
custom and includes guessing: 60 to 75 % of authors that a model never saw have an answer at 0.7 or more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

from audit.core.lazy import lazy
from audit.metrics.base import METRICS, SPOKEN, generation
from audit.models.scoring import Scored, normalise, yields

rouge_scorer = lazy("rouge_score.rouge_scorer")


@METRICS.register("exact_match")
@dataclass(frozen=True)
class ExactMatch:
    """1 if the normalised answer stands in the normalised generation at word boundaries, else 0."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = SPOKEN
    standard: ClassVar[bool] = True
    source: ClassVar[str] = "normalisation of SQuAD, Rajpurkar et al. 2016, arXiv:1606.05250"

    def value(self, scored: Scored) -> float:
        """Return 1.0 or 0.0."""
        return float(yields(scored.answer, generation(scored, self.name)))


@METRICS.register("rouge_l_recall")
@dataclass(frozen=True)
class RougeLRecall:
    """Share of the answer's words in the longest common subsequence with the generation, after stemming.

    0 for an answer without a letter or digit of ASCII, which the package reads as empty.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = SPOKEN
    standard: ClassVar[bool] = True
    source: ClassVar[str] = "Lin 2004, ROUGE-L; package rouge-score, stemmer on, as in TOFU, arXiv:2401.06121"

    def value(self, scored: Scored) -> float:
        """Return the recall in [0, 1]."""
        return float(_rouge_l(scored.answer, generation(scored, self.name)).recall)


@METRICS.register("rouge_l_f1")
@dataclass(frozen=True)
class RougeLF1:
    """F1 of the longest common subsequence of answer and generation, after stemming: long answers cost."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = SPOKEN
    standard: ClassVar[bool] = False
    source: ClassVar[str] = (
        "Lin 2004, ROUGE-L; package rouge-score, stemmer on; MUSE (arXiv:2407.06460) uses none"
    )

    def value(self, scored: Scored) -> float:
        """Return the F1 in [0, 1]."""
        return float(_rouge_l(scored.answer, generation(scored, self.name)).fmeasure)


@METRICS.register("whole_match")
@dataclass(frozen=True)
class WholeMatch:
    """1 if the normalised generation is the normalised answer and nothing else, else 0."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = SPOKEN
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "exact match of SQuAD, arXiv:1606.05250; SemEval-2025 Task 4 only folds case"

    def value(self, scored: Scored) -> float:
        """Return 1.0 or 0.0; 0.0 for an answer that normalises to nothing."""
        sought = normalise(scored.answer)
        return float(bool(sought) and sought == normalise(generation(scored, self.name)))


@METRICS.register("word_f1")
@dataclass(frozen=True)
class WordF1:
    """F1 of the words that answer and generation share, in any order: the usual score of open questions."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = SPOKEN
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "F1 of SQuAD, Rajpurkar et al. 2016, arXiv:1606.05250, articles kept"

    def value(self, scored: Scored) -> float:
        """Return 2 x shared / (words of the answer + words of the generation), 0 without a word."""
        wanted = Counter(normalise(scored.answer).split())
        said = Counter(normalise(generation(scored, self.name)).split())
        shared, total = (wanted & said).total(), wanted.total() + said.total()
        return 2 * shared / total if total else 0.0


@lru_cache(maxsize=1)  # recall and F1 of one probe are asked for one after the other
def _rouge_l(answer: str, text: str) -> Any:
    return _scorer().score(target=answer, prediction=text)["rougeL"]


@lru_cache(maxsize=1)
def _scorer() -> Any:  # building the stemmer costs more than scoring
    return rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
