"""open-unlearning's three composite scores: memorization, utility, privacy.

Dorna et al. 2025, OpenUnlearning. The harmonic means were checked against the 152 models of the unlearning-depth
study (gnueaj/unlearning-depth-score), where all three equal the published numbers. Its extraction strength has a
floor of 1/T; ours has not, so the memorization score of our own values reads slightly better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.metrics.aggregates.base import AGGREGATES, Input, Scores, checked
from audit.metrics.aggregates.means import harmonic_mean
from audit.metrics.aggregates.model_utility import ModelUtility, nine_means
from audit.metrics.aggregates.truth_ratio import right_share

_SOURCE = "Dorna et al. 2025, OpenUnlearning; harmonic means as in gnueaj/unlearning-depth-score"


@AGGREGATES.register("open_unlearning_memorization")
@dataclass(frozen=True)
class Memorization:
    """Harmonic mean of 1 - extraction strength, 1 - exact memorization, 1 - paraphrase probability, 1 - truth."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = {
        "extraction_strength": Input("extraction strengths of the forget list", 0.0, 1.0),
        "exact_memorization": Input("shares of greedy tokens of the forget list", 0.0, 1.0),
        "paraphrased_probability": Input("probabilities of the paraphrased answers", 0.0, 1.0),
        "truth_ratio": Input("truth ratios (wrong over right) of the forget list", 0.0),
    }
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "reproduced"
    source: ClassVar[str] = _SOURCE

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``memorization``, 1 where nothing is memorised."""
        v = checked(self, scores)
        known = [float(np.mean(v[n])) for n in self.inputs if n != "truth_ratio"]
        return {"memorization": harmonic_mean(1 - x for x in (*known, right_share(v["truth_ratio"])))}


@AGGREGATES.register("open_unlearning_utility")
@dataclass(frozen=True)
class Utility:
    """Harmonic mean of TOFU's model utility and the fluency of the answers about the forget list."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = {
        **ModelUtility.inputs,
        "fluency": Input("a classifier's probabilities that an answer is no gibberish", 0.0, 1.0),
    }
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "reproduced"
    source: ClassVar[str] = _SOURCE

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``utility``, and ``model_utility`` and ``fluency`` in it."""
        values = checked(self, scores)
        fluency = float(np.mean(values.pop("fluency")))
        kept = harmonic_mean(nine_means(values).values())
        return {"utility": harmonic_mean((kept, fluency)), "model_utility": kept, "fluency": fluency}


@AGGREGATES.register("open_unlearning_privacy")
@dataclass(frozen=True)
class Privacy:
    """Harmonic mean of how close four membership AUCs are to the retrained model's."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = {
        name: Input(f"closeness of the {words} AUC to the retrained model's (membership_closeness)", 0.0, 1.0)
        for name, words in (
            ("nll", "nll"),
            ("zlib", "zlib"),
            ("min_k", "min-k %"),
            ("min_k_plus_plus", "min-k %++"),
        )
    }
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "reproduced"
    source: ClassVar[str] = _SOURCE

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``privacy``."""
        values = checked(self, scores)
        return {"privacy": harmonic_mean(float(np.mean(values[name])) for name in self.inputs)}
