"""Units without a score are left out, and the ones that leak lose their score more often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.core.lazy import lazy
from audit.risk.validation.base import INVALID

stats = lazy("scipy.stats")

UNITS, RISK = 150, 0.1


@INVALID.register("missing_scores_left_out")
@dataclass(frozen=True)
class MissingScoresLeftOut:
    """One leaking unit in three has no score, and only units with a score are tested."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications that reject "risk > 0.1" at a risk of 0.1."""
        leaking = random.binomial(UNITS, RISK, replications)
        unscored = random.binomial(leaking, 1 / 3)
        p_values = stats.binom.cdf(leaking - unscored, UNITS - unscored, RISK)
        return int((p_values <= self.promised).sum())
