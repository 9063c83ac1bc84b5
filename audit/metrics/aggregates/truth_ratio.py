"""How a list's truth ratios become one number: three ways, for three purposes.

Maini et al. 2024, arXiv:2401.06121, Section 2.2, as coded in open-unlearning (Dorna et al. 2025). R is the
wrong answers' probability over the right one's: 0 known, 1 undecided. The forget list is called good where R
is near 1, a retained list where R is near 0. The third way is open-unlearning's since December 2025: the
mean probability of the right answer against the wrong one, 1 / (1 + R).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.metrics.aggregates.base import AGGREGATES, Input, Scores, checked

_RATIOS = Input("truth ratios (wrong over right) of the list's questions", 0.0)
EPSILON = 1e-10  # open-unlearning's guard against division by zero; part of the published values


def true_better(ratios: np.ndarray) -> float:
    """Return mean max(0, 1 - R), in [0, 1]: 1 where only the right answer is likely."""
    return float(np.mean(np.maximum(0.0, 1.0 - ratios)))


def closer_to_one(ratios: np.ndarray) -> float:
    """Return mean min(R, 1/R), in [0, 1]: 1 where right and wrong answers are equally likely."""
    return float(np.mean(np.minimum(ratios, 1.0 / (ratios + EPSILON))))


def right_share(ratios: np.ndarray) -> float:
    """Return mean 1 / (1 + R), in [0, 1]: the right answer's share of the probability of both."""
    return float(np.mean(1.0 / (1.0 + ratios)))


@AGGREGATES.register("truth_ratio_summary")
@dataclass(frozen=True)
class TruthRatioSummary:
    """Truth ratios of one list: closer to one (forget lists), true better (retained lists), share of right."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = {"truth_ratio": _RATIOS}
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "reproduced"
    source: ClassVar[str] = "Maini et al. 2024, arXiv:2401.06121, Section 2.2; open-unlearning's code"

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``closer_to_one``, ``true_better`` and ``right_share``."""
        ratios = checked(self, scores)["truth_ratio"]
        return {
            "closer_to_one": closer_to_one(ratios),
            "true_better": true_better(ratios),
            "right_share": right_share(ratios),
        }
