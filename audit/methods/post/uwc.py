"""UWC, unlearning with control: mix towards the starting model until it retains what it should.

Wang et al. ICLR 2025, arXiv:2406.09179: theta(a) = (1 - a) theta_start + a theta_made with the largest a at which
the extraction strength of other data stays at least ``retention`` times that of the starting model, so
that methods are compared at equal retention (theirs about 0.95, known from the abstract; their code does not mix).
Retention need not fall monotonically with a, so the grid is walked down from 1; at a = 0 it holds by definition.

What it looks at: first-wording questions of the retain subjects of the tune split, at most ``sequences`` of them, and no
forget answer. Why that is safe: tune subjects are drawn from the lock before anything is trained and stand outside every
claim, so no subject that a clause counts has a part in choosing a. The other points of the path are seen by nobody: what
is frozen is one checkpoint, a candidate like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.core.errors import AuditError
from audit.core.seeds import some
from audit.data.records import Probe
from audit.methods.base import POSTS
from audit.methods.post.path import Line
from audit.models.load import LanguageModel
from audit.models.scoring import extraction_strength, score
from audit.models.training import Example


@POSTS.register("uwc")
@dataclass(frozen=True)
class MixedTowardsStart:
    """Keep the largest share of the unlearning at which retain answers keep their extraction strength."""

    retention: float = 0.95  # share of the starting extraction strength to keep, in [0, 1]
    points: int = 20  # grid of mixing shares: 1, 1 - 1/points, ..., 0
    sequences: int = 256  # questions of tune subjects looked at, at most

    source: ClassVar[str] = "arXiv:2406.09179"
    evidence: ClassVar[str] = "experimental"
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})

    def __post_init__(self) -> None:
        if not 0 <= self.retention <= 1 or self.points < 1 or self.sequences < 1:
            raise ValueError(
                f"uwc needs retention in [0, 1], points >= 1 and sequences >= 1, got {self.retention}, "
                f"{self.points} and {self.sequences}"
            )

    @property
    def cost(self) -> float:
        """The starting model once, and every point but the last."""
        return 1.0 + self.points

    def calibrate(
        self, start: LanguageModel, made: LanguageModel, tune: Sequence[Example], seed: int
    ) -> None:
        """Mix ``made`` towards ``start``; where there are more than ``sequences``, the seed chooses which are looked at.

        AuditError E269 without any, E266 where the starting model extracts none of them.
        """
        if not tune:
            raise AuditError("E269", "uwc holds retain answers, there are none", "use > path(strength)")
        probes = self._probes(tune, seed)
        known = _strength(start, probes)
        if not known > 0:
            raise AuditError(
                "E266",
                f"uwc holds retain answers, the starting model completes none of {len(probes)}",
                "use > path(strength), or a retain set that the model knows",
            )
        line = Line(start, made)
        for step in range(self.points, -1, -1):
            line.go(step / self.points)
            if step == 0 or _strength(made, probes) >= self.retention * known:
                return

    def _probes(self, tune: Sequence[Example], seed: int) -> list[Probe]:
        chosen = some(tune, self.sequences, seed, "uwc")
        return [Probe(e.key, "retained", e.question, e.answer) for e in chosen]


def _strength(model: LanguageModel, probes: Sequence[Probe]) -> float:
    """Return the mean extraction strength of the answers, in [0, 1]."""
    return float(np.mean([extraction_strength(s.greedy) for s in score(model, probes)]))
