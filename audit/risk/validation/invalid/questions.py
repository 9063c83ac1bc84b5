"""Questions about the same persons, passed off as independent units.

20 persons with 20 questions each, intraclass correlation 0.2: the exact binomial over 400 questions rejects a
true null in 22 % of all draws instead of 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import build
from audit.risk.validation import batch
from audit.risk.validation.base import INVALID
from audit.risk.validation.parts.clusters import Subjects


@INVALID.register("questions_as_units")
@dataclass(frozen=True)
class QuestionsAsUnits:
    """400 questions about 20 persons are tested as 400 independent units."""

    correlation: float = 0.2  # of two questions about one person

    name: ClassVar[str]
    promised: ClassVar[float] = 0.05

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications that reject "risk > 0.1" at a risk of 0.1."""
        subjects = Subjects(20, 20, self.correlation)
        leaks = subjects.draw(random, replications).sum(axis=(1, 2))
        table = batch.p_by_count(build("binomial", self.promised), 400, subjects.risk)
        return int((table[leaks] <= self.promised).sum())
