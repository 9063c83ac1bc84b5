"""TOFU's model utility: what is left of three lists that should have been kept.

Maini et al. 2024, arXiv:2401.06121, Section 2.2: the harmonic mean of nine means, probability, ROUGE-L recall and
truth ratio of retained authors, real authors and world facts. Probability is normalised over the options where
a list has options. One dead list makes it 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.metrics.aggregates.base import AGGREGATES, Input, Scores, checked
from audit.metrics.aggregates.means import harmonic_mean
from audit.metrics.aggregates.truth_ratio import true_better

LISTS = {"retain": "retained authors", "real_authors": "real authors", "world_facts": "world facts"}


def _inputs() -> dict[str, Input]:
    found: dict[str, Input] = {}
    for key, words in LISTS.items():
        kind = "probabilities" if key == "retain" else "probabilities, normalised over the options,"
        found[f"{key}_probability"] = Input(f"{kind} of the answers about {words}", 0.0, 1.0)
        found[f"{key}_rouge_l_recall"] = Input(f"ROUGE-L recalls of the answers about {words}", 0.0, 1.0)
        found[f"{key}_truth_ratio"] = Input(f"truth ratios of the questions about {words}", 0.0)
    return found


def nine_means(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the nine means under their input's name; truth ratios as mean max(0, 1 - R)."""
    return {
        name: true_better(found) if name.endswith("truth_ratio") else float(np.mean(found))
        for name, found in values.items()
    }


@AGGREGATES.register("model_utility")
@dataclass(frozen=True)
class ModelUtility:
    """Harmonic mean of nine means over retained authors, real authors and world facts; the nine as well."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = _inputs()
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "reproduced"
    source: ClassVar[str] = "Maini et al. 2024, arXiv:2401.06121, Section 2.2"

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``model_utility`` and the nine means it is made of."""
        means = nine_means(checked(self, scores))
        return {"model_utility": harmonic_mean(means.values()), **means}
