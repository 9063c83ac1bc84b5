"""What n units can prove, before any is measured.

Exact for 0/1 losses (hypergeometric on a list, binomial for draws), by seeded simulation for graded ones. The
same bounds that will decide answer here, so a plan and its certificate cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import floor

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.seeds import generator
from audit.risk.bounds.base import Bound, Sample, build, exact

stats = lazy("scipy.stats")

LARGEST_N = 100_000
"""Searches for a sufficient n end here."""


@dataclass(frozen=True)
class SampleDesign:
    """How one clause will be decided.

    Attributes
    ----------
    n: units to be opened.
    population: N of the finite list, None for i.i.d. draws.
    alpha: risk budget of the clause.
    delta: error probability of the audit.
    family_size: K; a configuration is certified for sure at delta / K (Holm can only add to that).
    clauses: A + 1, forget clauses and utility; a configuration fails at delta / (A + 1).
    graded: whether the loss takes values between 0 and 1; its bound is another.

    """

    n: int
    population: int | None
    alpha: float = 0.1
    delta: float = 0.05
    family_size: int = 1
    clauses: int = 1
    graded: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 < self.delta < 1):
            raise ValueError(f"alpha and delta must be in (0, 1), got alpha={self.alpha}, delta={self.delta}")
        if self.n < 0 or (self.population is not None and self.population < self.n):
            raise ValueError(f"n={self.n} units cannot come from a list of {self.population}")
        if min(self.family_size, self.clauses) < 1:
            raise ValueError(f"family_size={self.family_size} and clauses={self.clauses} must be positive")

    @property
    def census(self) -> bool:
        """Whether every unit of the list will be opened; then the count decides and no test does."""
        return self.population is not None and self.n == self.population > 0

    @property
    def level(self) -> float:
        """The level of one configuration, delta / K."""
        return self.delta / self.family_size


def allowed_failures(design: SampleDesign) -> int | None:
    """Return the most failures among the n units with which a 0/1 clause is certified; None if not even 0."""
    _refuse_graded(design)
    if not _certifies(design, 0):
        return None
    return _last(lambda failures: _certifies(design, failures), design.n)


def failing_from(design: SampleDesign) -> int | None:
    """Return the fewest failures among the n units with which a 0/1 clause is FAIL; None if not even n."""
    _refuse_graded(design)
    if design.census:
        return floor(exact(design.alpha) * design.n) + 1
    bound, level = _bound(design), design.delta / design.clauses
    last = _last(lambda k: bound.lower(_sample(design, k), level) <= design.alpha, design.n)
    return last + 1 if last < design.n else None


def smallest_certifiable_risk(design: SampleDesign) -> float:
    """Return the upper bound that n units without a single failure give: no smaller risk can be shown."""
    return 0.0 if design.census else _bound(design).upper(_sample(design, 0), design.level)


def units_needed(design: SampleDesign, failures: int = 0) -> int | None:
    """Return the smallest n that certifies with ``failures`` (0 if graded); None if the list has too few."""
    if failures:
        _refuse_graded(design)
    low = failures  # too few: when every unit fails nothing is certified
    high = LARGEST_N if design.population is None else design.population
    if high <= low or not _certifies(replace(design, n=high), failures):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _certifies(replace(design, n=middle), failures) else (middle, high)
    return high


def certification_probability(design: SampleDesign, true_risk: float) -> float:
    """Return the exact probability that a 0/1 clause with ``true_risk`` is certified at delta / K.

    On a list the number of failing units is ``true_risk`` times N, rounded.
    """
    allowed = allowed_failures(design)
    if allowed is None:
        return 0.0
    if design.population is None:
        return float(stats.binom.cdf(allowed, design.n, true_risk))
    failing = round(true_risk * design.population)
    return float(stats.hypergeom.cdf(allowed, design.population, failing, design.n))


def simulated_certification(
    design: SampleDesign, losses: np.ndarray, *, replications: int = 1000, seed: int = 0
) -> float:
    """Return the share of ``replications`` in which a graded clause is certified at delta / K.

    ``losses`` (m,) in [0, 1] stand for the units: a pilot, or a law at a stated mean. On a list N of them are
    laid out at evenly spaced quantiles and n drawn without replacement; else n are drawn with replacement.
    """
    if design.census:
        return float(_spread(losses, design.n).mean() <= design.alpha)
    bound = _bound(replace(design, graded=True))
    certified = [
        bound.p_value(sample, design.alpha) <= design.level
        for sample in _draws(design, losses, replications, seed)
    ]
    return float(np.mean(certified))


def perfect_certification(design: SampleDesign, twins: int, rank: int) -> float:
    """Return the probability that a perfectly unlearned model is certified on ``above_twins``.

    Its units and the m ``twins`` are exchangeable, so the number of n units above the ``rank``-th smallest
    twin is beta-binomial(n, m + 1 - rank, rank).
    """
    allowed = allowed_failures(design)
    return 0.0 if allowed is None else float(stats.betabinom.cdf(allowed, design.n, twins + 1 - rank, rank))


def refuse_hopeless(design: SampleDesign, what: str) -> None:
    """Raise E403 if not even a clause without a single failure could be certified; says which n could."""
    if _certifies(design, 0):
        return
    needed = units_needed(design)
    remedy = (
        f"at least {needed} units are needed"
        if needed
        else "raise the budget or lower the number of configurations"
    )
    raise AuditError(
        "E403",
        f"{what}: {design.n} units cannot show a risk of at most {design.alpha:g} for {design.family_size} "
        f"configurations at confidence {1 - design.delta:g}, only {smallest_certifiable_risk(design):.3g}",
        remedy,
    )


def refuse_unlikely(design: SampleDesign, twins: int, rank: int, what: str, least: float = 0.8) -> None:
    """Raise E404 if a perfectly unlearned model would be certified with probability below ``least``."""
    chance = perfect_certification(design, twins, rank)
    if chance < least:
        raise AuditError(
            "E404",
            f"{what}: a perfect model would be certified with probability {chance:.2f}, needed is {least:g}",
            "open more units, use more twins, or lower beta",
        )


def _certifies(design: SampleDesign, failures: int) -> bool:
    if design.census:
        return failures <= exact(design.alpha) * design.n
    return _bound(design).p_value(_sample(design, failures), design.alpha) <= design.level


def _bound(design: SampleDesign) -> Bound:
    if design.graded:
        return build("betting" if design.population is None else "betting_without_replacement", design.level)
    return build("binomial" if design.population is None else "hypergeometric", design.level)


def _refuse_graded(design: SampleDesign) -> None:
    if design.graded:
        raise ValueError("failures are counted for 0/1 losses; use simulated_certification for graded ones")


def _sample(design: SampleDesign, failures: int) -> Sample:
    return Sample(np.repeat([1.0, 0.0], [failures, design.n - failures]), design.population)


def _last(holds: Callable[[int], bool], largest: int) -> int:
    """Return the largest k <= ``largest`` at which the decreasing predicate holds; it does at 0."""
    low, high = 0, largest + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _draws(design: SampleDesign, losses: np.ndarray, replications: int, seed: int) -> Iterator[Sample]:
    random = generator(seed, "power")
    units = losses if design.population is None else _spread(losses, design.population)
    for _ in range(replications):
        yield Sample(random.choice(units, design.n, replace=design.population is None), design.population)


def _spread(losses: np.ndarray, size: int) -> np.ndarray:
    return np.quantile(losses, (np.arange(size) + 0.5) / size, method="inverted_cdf")
