"""Questions about one subject go together: means and maxima of subjects, at every intraclass correlation.

Answers are beta-binomial: each subject has a chance of leaking of its own, with mean ``risk``. The subject is
the unit; its mean loss is graded, and "some question leaks" is 0/1 with a risk of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, lgamma
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import BOUNDS, build
from audit.risk.validation import batch
from audit.risk.validation.base import PARTS
from audit.risk.validation.coverage import EDGE

SOME = "binomial, some question leaks"


@dataclass(frozen=True)
class Subjects:
    """Subjects with ``questions`` each, correlated within a subject."""

    subjects: int
    questions: int
    correlation: float
    risk: float = 0.1

    def draw(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (R, subjects, questions) bool leaks."""
        shape = (replications, self.subjects, 1)
        chance = np.full(shape, self.risk)
        if self.correlation:
            spread = (1 - self.correlation) / self.correlation
            chance = random.beta(self.risk * spread, (1 - self.risk) * spread, shape)
        return random.random((*shape[:2], self.questions)) < chance

    @property
    def some(self) -> float:
        """Return the chance that at least one question of a subject leaks: 1 - E[(1 - chance)^questions]."""
        if not self.correlation:
            return 1 - (1 - self.risk) ** self.questions
        spread = (1 - self.correlation) / self.correlation
        dry = (1 - self.risk) * spread
        logs = lgamma(dry + self.questions) - lgamma(dry) + lgamma(spread) - lgamma(spread + self.questions)
        return 1 - exp(logs)


@dataclass(frozen=True)
class ClusterCell:
    """All bounds for draws of graded losses, on means of subjects; the exact binomial on maxima."""

    subjects: Subjects
    delta: float = 0.05
    slow: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """Subjects, questions and correlation."""
        s = self.subjects
        return f"{s.subjects} subjects x {s.questions} questions, ICC {s.correlation:g}, delta={self.delta:g}"

    @property
    def promised(self) -> float:
        """Delta."""
        return self.delta

    @property
    def procedures(self) -> tuple[str, ...]:
        """Bounds on means, then the one on maxima."""
        return (
            *(name for name in BOUNDS.names() if "draws" in BOUNDS[name].designs and not BOUNDS[name].binary),
            SOME,
        )

    def violations(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (P,) false rejections just above the budget."""
        leaks = self.subjects.draw(random, replications)
        means, some = leaks.mean(axis=2), leaks.any(axis=2).astype(float)
        found = [self._rejected(name, means, self.subjects.risk) for name in self.procedures[:-1]]
        return np.array([*found, self._rejected("binomial", some, self.subjects.some)])

    def _rejected(self, name: str, losses: np.ndarray, risk: float) -> int:
        p_values = batch.p_values(build(name, self.delta), losses, risk - EDGE)
        return int((p_values <= self.delta).sum())


@PARTS.register("clusters")
@dataclass(frozen=True)
class Clusters:
    """Subjects with several questions."""

    name: ClassVar[str]

    def cells(self) -> Iterator[ClusterCell]:
        """Yield few subjects with many questions and the reverse, over the correlations."""
        for correlation in (0.0, 0.05, 0.2, 0.5):
            for subjects, questions in ((20, 20), (60, 6), (200, 10)):
                yield ClusterCell(Subjects(subjects, questions, correlation))
