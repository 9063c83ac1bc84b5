"""Multiple-choice accuracy above what the retrained model reaches without having learned the answers.

Chance is not the null: on TOFU's questions models that never saw the authors choose right 79 % of the time, so a
drop to 25 or 50 % is over-forgetting, not success. WMDP (Li et al. 2024, arXiv:2403.03218) reports plain accuracy,
which is printed too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.metrics.aggregates.base import AGGREGATES, Input, Scores, checked


@AGGREGATES.register("choice_accuracy")
@dataclass(frozen=True)
class ChoiceAccuracy:
    """Accuracy of multiple choice, the retrained model's accuracy on the same questions, and the difference."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "zero"
    range: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = {
        "forget": Input("right choices (0 or 1) about the forget list under the model", 0.0, 1.0),
        "retrained_forget": Input("right choices on the same questions under the retrained model", 0.0, 1.0),
    }
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "paper"
    source: ClassVar[str] = "accuracy as in WMDP, Li et al. 2024, arXiv:2403.03218, less a measured null"

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``above_null``, ``accuracy`` and ``null``."""
        values = checked(self, scores)
        accuracy, null = (float(np.mean(values[name])) for name in self.inputs)
        return {"above_null": accuracy - null, "accuracy": accuracy, "null": null}
