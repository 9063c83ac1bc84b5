"""Any sequentially rejective graph: whoever is rejected hands its level along its edges.

Bretz, Maurer, Brannath, Posch. Statistics in Medicine 28(4), 2009, Algorithm 1. Bonferroni, Holm, fixed
sequence and fallback are graphs; each keeps the familywise error rate under any dependence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.multiplicity.base import PROCEDURES, demanded, family


@PROCEDURES.register("graph")
@dataclass(frozen=True)
class Graph:
    """Reject at the level a place holds; its level and edges then pass to the places it points at."""

    shares: tuple[float, ...]  # of delta, by place in the order; sum to at most 1
    edges: tuple[tuple[float, ...], ...]  # edges[i][j]: share of place i's level that place j receives

    name: ClassVar[str]
    ordered: ClassVar[bool] = True
    source: ClassVar[str] = "Bretz, Maurer, Brannath, Posch 2009"

    def __post_init__(self) -> None:
        if math.fsum(self.shares) > 1 or any(share < 0 for share in self.shares):
            raise ValueError(f"shares of delta must be in [0, 1] and sum to at most 1, got {self.shares}")
        if len(self.edges) != len(self.shares) or any(len(row) != len(self.shares) for row in self.edges):
            raise ValueError(f"{len(self.shares)} shares need as many rows of edges, each as long")
        for place, row in enumerate(self.edges):
            if min(row) < 0 or math.fsum(row) > 1 or row[place] != 0:
                raise ValueError(
                    f"row {place} of edges must be non-negative, sum to at most 1 and be 0 at itself"
                )

    def reject(
        self, p_values: np.ndarray, delta: float, size: int, order: Sequence[int] | None = None
    ) -> np.ndarray:
        """Return (C,) bool; every member of the family must have its place: ``size`` p-values, else ValueError."""
        filled = family(p_values, delta, size)
        rows = demanded(order, len(filled), self.name)
        if not len(self.shares) == size == len(rows):
            raise ValueError(
                f"a graph of {len(self.shares)} places needs as many p-values, got {len(rows)} of {size}"
            )
        rejected = np.zeros(len(filled), dtype=bool)
        rejected[rows] = _walk(
            filled[rows], delta * np.array(self.shares, float), np.array(self.edges, float)
        )
        return rejected


def _walk(p_values: np.ndarray, levels: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Reject one after the other; in which order makes no difference to who is rejected in the end."""
    waiting = np.ones(len(levels), dtype=bool)
    while bool((passes := waiting & (p_values <= levels)).any()):
        gone = int(np.argmax(passes))
        waiting[gone] = False
        levels, edges = _without(gone, levels, edges)
    return ~waiting


def _without(gone: int, levels: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return levels (C,) and edges (C, C) after ``gone`` was rejected; its own are zero."""
    into, out = edges[:, gone], edges[gone]
    loops = into * out  # (C,) what would come back: l -> gone -> l
    through = edges + np.outer(into, out)
    # A loop of weight 1 leaves nobody else to hand on to.
    edges = np.divide(through, (1 - loops)[:, None], out=np.zeros_like(through), where=(loops < 1)[:, None])
    edges[gone], edges[:, gone] = 0.0, 0.0
    np.fill_diagonal(edges, 0.0)
    levels = levels + levels[gone] * out
    levels[gone] = 0.0
    return levels, edges
