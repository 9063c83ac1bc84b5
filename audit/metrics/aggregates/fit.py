"""FIT's forget degree and retained utility: how close the model is to a retrained one, from either side.

arXiv:2601.21682, by its code. Q = 100 cuberoot(probability x ROUGE-L F1 x token accuracy) of a list's means;
both scores are 1 - |Q / Q of the reference - 1|, at least 0: forgetting too much costs as much as forgetting too
little. After a share of the requests, the reference lies linearly between the original and the retrained model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.metrics.aggregates.base import AGGREGATES, Aggregate, Input, Scores, checked, undefined

_PARTS = {
    "probability": "probabilities of the answers",
    "rouge_l_f1": "ROUGE-L F1 of the answers",
    "exact_memorization": "shares of greedy answer tokens",
}
_SIDES = {"forget": "forget_degree", "retain": "retained_utility"}


def _inputs(*models: str) -> dict[str, Input]:
    return {
        f"{model}{'_' if model else ''}{side}_{part}": Input(
            f"{words}, {side} list, under the {model or 'unlearned'} model", 0.0, 1.0
        )
        for model in models
        for side in _SIDES
        for part, words in _PARTS.items()
    }


def quality(values: dict[str, np.ndarray], prefix: str) -> float:
    """Return Q of one list under one model, in [0, 100]."""
    return 100 * float(np.prod([np.mean(values[f"{prefix}{part}"]) for part in _PARTS])) ** (1 / 3)


def _closeness(aggregate: Aggregate, found: float, reference: float) -> float:
    if reference == 0:
        raise undefined(aggregate, "the reference's own Q is 0")
    return max(0.0, 1.0 - abs(found / reference - 1.0))


@AGGREGATES.register("fit")
@dataclass(frozen=True)
class Fit:
    """FIT's forget degree and retained utility against the retrained model; 1 is best, 0 from twice its Q on."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = _inputs("", "retrained")
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "paper"
    source: ClassVar[str] = "FIT, arXiv:2601.21682, by its code"

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``forget_degree`` and ``retained_utility``; E353 where the retrained model's Q is 0."""
        v = checked(self, scores)
        return {
            title: _closeness(self, quality(v, f"{side}_"), quality(v, f"retrained_{side}_"))
            for side, title in _SIDES.items()
        }


@AGGREGATES.register("fit_continual")
@dataclass(frozen=True)
class FitContinual:
    """FIT's scores after a share of the requests; the reference lies between original and retrained model."""

    share: float = 1.0  # of the requests served so far, 0 to 1

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = _inputs("", "retrained", "original")
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "paper"
    source: ClassVar[str] = "FIT, arXiv:2601.21682, by its code"

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share needs a value in [0, 1], got {self.share}")

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``forget_degree`` and ``retained_utility``; E353 where the reference's Q is 0."""
        v = checked(self, scores)
        return {
            title: _closeness(self, quality(v, f"{side}_"), self._reference(v, side))
            for side, title in _SIDES.items()
        }

    def _reference(self, values: dict[str, np.ndarray], side: str) -> float:
        original, retrained = (quality(values, f"{model}_{side}_") for model in ("original", "retrained"))
        return original + self.share * (retrained - original)
