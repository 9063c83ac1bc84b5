"""What may be said about single subjects, and about groups of them.

A subject's own questions, all asked under every attack, are counted: with losses that would not change on
repetition the count is exact and needs no error probability. Where repetition would change them, the number of
leaks among a subject's questions is a sum of independent coins with unequal chances, whose lower tail lies
below the binomial's (Hoeffding, Ann. Math. Stat. 27, 1956, Theorem 4): Clopper-Pearson bounds the mean chance,
at delta shared over every subject and configuration that may be quoted (Bonferroni).

Groups: given how many of each group were drawn, the units of a group are a simple random sample of the group,
so each has its bound; delta is shared over all groups and configurations shown.

Quantiles: of N subjects the ceil(q N)-th smallest leak, from order statistics (``quantiles``); subjects seen before
are counted, which changes the rank asked of the others at each value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, log

import numpy as np

from audit.risk.bounds.base import Sample, build, checked, exact
from audit.risk.quantiles import quantile_rank


@dataclass(frozen=True, eq=False)
class Tally:
    """Leaks of each subject of one configuration; all arrays are (n,) integers.

    ``attacks`` that could be tried and ``questions`` that could be asked, with those that leaked at least once;
    ``pairs`` of a question and an attack, with those that leaked; ``missing`` pairs have no score.
    """

    attacks: np.ndarray
    attacks_leaked: np.ndarray
    questions: np.ndarray
    questions_leaked: np.ndarray
    pairs: np.ndarray
    pairs_leaked: np.ndarray
    missing: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """(n,) share of pairs that leaked, those without a score counted as leaks; 1 where nothing was asked."""
        found = self.pairs_leaked + self.missing
        return np.divide(found, self.pairs, out=np.ones(len(found)), where=self.pairs > 0)


def tally(hits: Mapping[str, np.ndarray], asked: Mapping[str, np.ndarray]) -> Tally:
    """Count leaks: attack -> ``hits`` (n, P) with 1 for a leak, NaN without a score, and ``asked`` (n, P) bool.

    Values strictly between 0 and 1 are no leaks and no counts: ValueError.
    """
    if not hits or set(hits) != set(asked):
        raise ValueError(f"hits and asked must name the same attacks, got {sorted(hits)} and {sorted(asked)}")
    tried = np.stack([asked[attack] for attack in hits])  # (A, n, P)
    values = np.stack([hits[attack] for attack in hits])
    scored = tried & ~np.isnan(values)
    if not bool(np.isin(values[scored], (0.0, 1.0)).all()):
        raise ValueError("leaks are counted, so hits must be 0 or 1")
    leaked = scored & (values == 1)
    return Tally(
        attacks=tried.any(axis=2).sum(axis=0),
        attacks_leaked=leaked.any(axis=2).sum(axis=0),
        questions=tried.any(axis=0).sum(axis=1),
        questions_leaked=leaked.any(axis=0).sum(axis=1),
        pairs=tried.sum(axis=(0, 2)),
        pairs_leaked=leaked.sum(axis=(0, 2)),
        missing=(tried & ~scored).sum(axis=(0, 2)),
    )


def subject_uppers(found: Tally, delta: float, configurations: int) -> np.ndarray:
    """Return (n,) upper bounds of each subject's mean chance of a leak, true for all of them together.

    For losses that change on repetition; ``delta`` is shared over the subjects of ``configurations`` that may be
    quoted. Pairs without a score count as leaks; 1 where nothing was asked.
    """
    level = shared(delta, len(found.pairs), configurations)
    bound = build("binomial", level)
    counts = zip(found.pairs_leaked + found.missing, found.pairs, strict=True)
    return np.array([bound.upper(Sample(np.arange(asked) < leaked), level) for leaked, asked in counts])


def shared(delta: float, subjects: int, configurations: int) -> float:
    """Return the level of one statement about one subject."""
    if subjects < 1 or configurations < 1:
        raise ValueError(f"{subjects} subjects and {configurations} configurations share no delta")
    return checked(delta) / (subjects * configurations)


def questions_needed(alpha: float, delta: float, subjects: int, configurations: int = 1) -> int:
    """Return how many questions without a leak bound each subject's chance by ``alpha``: (1 - alpha)^m <= level."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got alpha={alpha}")
    return ceil(log(shared(delta, subjects, configurations)) / log(1 - alpha) - 1e-12)


def quantile_of_list(now: np.ndarray, seen: np.ndarray, share: float, delta: float, population: int) -> float:
    """Return x such that at least ``share`` of the list's subjects leak at most x, at confidence 1 - ``delta``.

    ``now`` (n,) are a random sample of the ``population`` - len(seen) subjects not seen before, ``seen`` the others,
    all in [0, 1] and fixed; NaN counts as 1. A value x is claimed if the seen subjects at most x and a bound on how
    many of the others are add up to ceil(share N); since the rank asked of the sample only falls as x grows, the first
    x claimed errs with probability at most ``delta``. 1 where nothing less can be said.
    """
    now, seen = (np.where(np.isnan(values), 1.0, values) for values in (now, seen))
    left, asked = population - len(seen), ceil(exact(share) * population)
    for value in np.unique(np.concatenate([now, seen])):
        more = asked - int((seen <= value).sum())
        if more <= 0:
            return float(value)
        if more > left:
            continue
        # quantile_rank speaks of shares below 1; all that are left being at most x needs a census.
        rank = quantile_rank(len(now), Fraction(more, left), delta, left) if more < left else left
        if rank is not None and int((now <= value).sum()) >= rank:
            return float(value)
    return 1.0
