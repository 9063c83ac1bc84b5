"""UWC, unlearning with control: mix towards the starting model until it retains what it should.

Wang et al. ICLR 2025, arXiv:2406.09179: theta(a) = (1 - a) theta_start + a theta_made with the largest a at which
the extraction strength of other data stays at least ``retention`` times that of the starting model, so
that methods are compared at equal retention (theirs about 0.95). Retention need not fall monotonically with a, so the
grid is walked down from 1; at a = 0 it holds by definition.

What it looks at: the first wordings of the retain set that the method was trained on anyway, at most ``sequences`` of
them, and no forget answer. Why that is safe: a is part of making the checkpoint. It is fixed before the split is drawn
and before any subject is scored for the claim (DECISIONS §3), by a rule that knows no split, so a checkpoint mixed this
way is a candidate like any other. Retain subjects of the calibrate split may be among the sequences, as they are among
those trained on: the claim holds for the frozen checkpoint, whatever its making has seen, because who is opened is
drawn afterwards. Choosing a by scores of tune subjects would be a choice among several checkpoints: write them as a
family of ``path`` strengths with ``order: tune``, where each counts towards K.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.core.errors import AuditError
from audit.core.seeds import generator
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
    sequences: int = 256  # retain sequences looked at, at most

    source: ClassVar[str] = "arXiv:2406.09179"
    evidence: ClassVar[str] = "paper"

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
        self, start: LanguageModel, made: LanguageModel, retain: Sequence[Example], seed: int
    ) -> None:
        """Mix ``made`` towards ``start``; the seed chooses the retain sequences.

        AuditError E269 without retain sequences, E266 where the starting model extracts none of them.
        """
        if not retain:
            raise AuditError("E269", "uwc holds retain answers, there are none", "use > path(strength)")
        probes = self._probes(retain, seed)
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

    def _probes(self, retain: Sequence[Example], seed: int) -> list[Probe]:
        order = generator(seed, "uwc").permutation(len(retain))[: self.sequences]
        chosen = [retain[index] for index in sorted(order)]
        return [Probe(e.key, "retained", e.question, e.answer) for e in chosen]


def _strength(model: LanguageModel, probes: Sequence[Probe]) -> float:
    """Return the mean extraction strength of the answers, in [0, 1]."""
    return float(np.mean([extraction_strength(s.greedy) for s in score(model, probes)]))
