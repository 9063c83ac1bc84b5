"""From counts of broken promises to a verdict.

Rates are judged by the exact one-sided binomial test of "the promised rate is kept". Over a study the
tests are corrected by Holm's procedure, so an engine without fault passes with probability at least
1 - evidence. At 1 % evidence and a promised 5 % one cell of 10,000 replications is flagged from 552 on.
Intervals are those of Clopper and Pearson (Biometrika 26(4), 1934).
"""

from __future__ import annotations

import numpy as np

from audit.core.lazy import lazy

stats = lazy("scipy.stats")

EVIDENCE = 0.01  # error probability of the whole study


def surprise(count: int, replications: int, rate: float) -> float:
    """Return P(Bin(replications, rate) >= count), the p-value of "the promised ``rate`` is kept"."""
    if not 0 <= count <= replications:
        raise ValueError(f"{count} violations in {replications} replications cannot be")
    return float(stats.binom.sf(count - 1, replications, rate))


def too_often(count: int, replications: int, rate: float, evidence: float = EVIDENCE) -> bool:
    """Return whether ``count`` of ``replications`` contradicts a promised ``rate`` (exact binomial test)."""
    return surprise(count, replications, rate) <= evidence


def flags(surprises: np.ndarray, evidence: float = EVIDENCE) -> np.ndarray:
    """Return (M,) bool: cells whose p-values (M,) Holm's procedure rejects at ``evidence`` over the study.

    Written out here, so that the procedure under study does not judge itself.
    """
    flagged = np.zeros(len(surprises), dtype=bool)
    for rank, cell in enumerate(np.argsort(surprises, kind="stable")):
        if surprises[cell] > evidence / (len(surprises) - rank):
            break
        flagged[cell] = True
    return flagged


def interval(count: int, replications: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Clopper-Pearson interval of a rate, for tables."""
    tail = (1 - confidence) / 2
    low = stats.beta.ppf(tail, count, replications - count + 1) if count else 0.0
    high = stats.beta.ppf(1 - tail, count + 1, replications - count) if count < replications else 1.0
    return float(low), float(high)
