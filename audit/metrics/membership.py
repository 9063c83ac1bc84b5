"""Scores of membership inference besides nll: whether an answer looks like something the model was trained on.

They mean nothing alone. An AUC against never-trained twins, beside the same AUC under the retrained model
(aggregates ``membership_auc``, ``privleak``), turns them into evidence.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import ClassVar, Literal

from audit.metrics.base import FORWARD, METRICS, present
from audit.metrics.likelihood import lowest_mean, mean_logp
from audit.models.scoring import Scored

EPSILON = 1e-10  # keeps a ratio finite where an answer is certain


@METRICS.register("zlib")
@dataclass(frozen=True)
class Zlib:
    """Mean negative log-likelihood, in nats, over the bytes of the zlib-compressed answer."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "lower"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    needs: ClassVar[frozenset[str]] = FORWARD
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "Carlini et al. 2021, arXiv:2012.07805; as in open-unlearning"

    def value(self, scored: Scored) -> float:
        """Return nll / bytes, nats per byte."""
        return abs(mean_logp(scored.logp)) / len(zlib.compress(scored.answer.strip().encode()))


@METRICS.register("min_k_20")
@dataclass(frozen=True)
class Min20:
    """Mean log-probability of the least likely 20 % of the tokens, in nats, at most 0; at least one token."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (None, 0.0)
    needs: ClassVar[frozenset[str]] = FORWARD
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "Shi et al. 2024, arXiv:2310.16789, with K = 20 as RWKU reports it"

    def value(self, scored: Scored) -> float:
        """Return the mean of the max(1, floor(0.2 T)) lowest log-probabilities, nats."""
        return min(lowest_mean(scored.logp, fifths=1), 0.0)


@METRICS.register("min_k_plus_plus_40")
@dataclass(frozen=True)
class MinPlusPlus40:
    """Mean of the lowest 40 % of the tokens' log-probabilities, each standardised over the vocabulary."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (None, None)
    needs: ClassVar[frozenset[str]] = frozenset({"moments"})
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "Zhang et al. 2024, Min-K%++, arXiv:2404.02936, with K = 40 as in open-unlearning"

    def value(self, scored: Scored) -> float:
        """Return the mean of the max(1, floor(0.4 T)) lowest standardised values, in standard deviations."""
        return _lowest_standardised(scored, self.name, fifths=2)


@METRICS.register("min_k_plus_plus_20")
@dataclass(frozen=True)
class MinPlusPlus20:
    """Mean of the lowest 20 % of the tokens' log-probabilities, each standardised over the vocabulary."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (None, None)
    needs: ClassVar[frozenset[str]] = frozenset({"moments"})
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "Zhang et al. 2024, Min-K%++, arXiv:2404.02936, with K = 20 as RWKU reports it"

    def value(self, scored: Scored) -> float:
        """Return the mean of the max(1, floor(0.2 T)) lowest standardised values, in standard deviations."""
        return _lowest_standardised(scored, self.name, fifths=1)


@METRICS.register("gradient_norm")
@dataclass(frozen=True)
class GradientNorm:
    """Mean over the weight tensors of the 2-norm of the nll's gradient; small where nothing is left to learn."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "lower"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    needs: ClassVar[frozenset[str]] = frozenset({"gradient"})
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "GradNorm, Wang et al. 2024, arXiv:2402.17012; as in open-unlearning"

    def value(self, scored: Scored) -> float:
        """Return the norm, in nats per unit of weight."""
        present(scored.gradient_norm, self.name, "gradient")
        return float(scored.gradient_norm or 0.0)


@METRICS.register("reference_gap")
@dataclass(frozen=True)
class ReferenceGap:
    """nll less the nll of a reference model that was not trained on the answer, in nats."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "lower"
    range: ClassVar[tuple[float | None, float | None]] = (None, None)
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "Carlini et al. 2021, arXiv:2012.07805; as in open-unlearning"

    def value(self, scored: Scored) -> float:
        """Return nll - nll of the reference, nats."""
        present(scored.reference_logp, self.name, "reference")
        assert scored.reference_logp is not None
        return mean_logp(scored.reference_logp) - mean_logp(scored.logp)


@METRICS.register("recall_ratio")
@dataclass(frozen=True)
class RecallRatio:
    """ReCaLL: log-likelihood after a prefix of never-trained texts over log-likelihood; higher for members."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    needs: ClassVar[frozenset[str]] = frozenset({"prefix"})
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "Xie et al. 2024, ReCaLL, arXiv:2406.15968"

    def value(self, scored: Scored) -> float:
        """Return LL(answer | prefix, question) / LL(answer | question), each plus -1e-10."""
        present(scored.prefixed_logp, self.name, "prefix")
        assert scored.prefixed_logp is not None
        return (mean_logp(scored.prefixed_logp) - EPSILON) / (mean_logp(scored.logp) - EPSILON)


def _lowest_standardised(scored: Scored, metric: str, *, fifths: int) -> float:
    present(scored.standardised, metric, "moments")
    assert scored.standardised is not None
    return lowest_mean(scored.standardised, fifths=fifths)
