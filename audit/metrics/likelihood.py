"""How likely the model still finds the answer: probability, negative log-likelihood, Min-40 %.

Probability as in TOFU (Maini et al. 2024, arXiv:2401.06121): the geometric mean of the token probabilities.
Min-K % (Shi et al. 2024, arXiv:2310.16789) looks at the least likely tokens only, which a stranger to the
text cannot guess; K = 40 as in MUSE (arXiv:2407.06460). All are means over the answer's tokens, without EOS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.metrics.base import FORWARD, METRICS
from audit.models.scoring import Scored


@METRICS.register("probability")
@dataclass(frozen=True)
class Probability:
    """exp of the mean token log-probability, in [0, 1]; 1: the answer is certain."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = FORWARD
    standard: ClassVar[bool] = True
    source: ClassVar[str] = "Maini et al. 2024, arXiv:2401.06121"

    def value(self, scored: Scored) -> float:
        """Return exp(mean logp)."""
        return math.exp(mean_logp(scored.logp))


@METRICS.register("nll")
@dataclass(frozen=True)
class NLL:
    """Mean negative log-likelihood of the answer's tokens, in nats, at least 0; 0: the answer is certain."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "lower"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    needs: ClassVar[frozenset[str]] = FORWARD
    standard: ClassVar[bool] = True
    source: ClassVar[str] = (
        "mean token cross-entropy; membership score LOSS of Yeom et al. 2018, arXiv:1709.01604"
    )

    def value(self, scored: Scored) -> float:
        """Return -mean logp, nats."""
        return abs(mean_logp(scored.logp))  # abs: never -0.0


@METRICS.register("min_k_40")
@dataclass(frozen=True)
class Min40:
    """Mean log-probability of the least likely 40 % of the tokens, in nats, at most 0; 0: all are certain.

    Rounded down to whole tokens, at least one. Its negative is the score of open-unlearning and MUSE.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (None, 0.0)
    needs: ClassVar[frozenset[str]] = FORWARD
    standard: ClassVar[bool] = True
    source: ClassVar[str] = "Shi et al. 2024, arXiv:2310.16789, with K = 40"

    def value(self, scored: Scored) -> float:
        """Return the mean of the max(1, floor(0.4 T)) lowest log-probabilities, nats."""
        return min(lowest_mean(scored.logp, fifths=2), 0.0)


def lowest_mean(values: np.ndarray, *, fifths: int) -> float:
    """Return the mean of the lowest ``fifths``/5 of ``values`` (T,), rounded down but at least one of them."""
    count = max(1, fifths * values.size // 5)  # in integers: 0.4 T must not lose a token to rounding
    return float(np.mean(np.sort(values)[:count]))


def mean_logp(logp: np.ndarray) -> float:
    """Return the mean log-probability in nats, at most 0."""
    # logit minus log-sum-exp can round to a hair above 0; a probability above 1 would leave the range.
    return min(float(np.mean(logp)), 0.0)
