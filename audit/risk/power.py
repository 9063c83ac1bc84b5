"""What n units can prove, before any is measured.

Exact for 0/1 losses (hypergeometric on a list, binomial for draws), by seeded simulation for graded ones and for
bounds that look at the order. The same bounds that will decide answer here, so a plan and its certificate cannot
disagree; any other bound can be asked too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import floor

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.seeds import generator
from audit.risk.bounds.base import Bound, Design, Sample, build, exact
from audit.risk.catalogue import covering

stats = lazy("scipy.stats")

LARGEST_N = 100_000
"""Searches for a sufficient n end here."""

LEAST_CHANCE = 0.8
"""A perfect model that is certified more rarely than this makes an audit not worth its while."""


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
    looks: configurations may be given up before the last unit: they fail at the end at half of that level.
    graded: whether the loss takes values between 0 and 1; its bound is another.
    fixed: False if losses on a list would come out differently on repetition.
    bound: a registered name whose theorem covers this design, or ``auto`` for the one that will decide.

    """

    n: int
    population: int | None
    alpha: float = 0.1
    delta: float = 0.05
    family_size: int = 1
    clauses: int = 1
    graded: bool = False
    fixed: bool = True
    bound: str = "auto"
    looks: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 < self.delta < 1):
            raise ValueError(f"alpha and delta must be in (0, 1), got alpha={self.alpha}, delta={self.delta}")
        if self.n < 0 or (self.population is not None and self.population < self.n):
            raise ValueError(f"n={self.n} units cannot come from a list of {self.population}")
        if min(self.family_size, self.clauses) < 1:
            raise ValueError(f"family_size={self.family_size} and clauses={self.clauses} must be positive")
        if self.bound != "auto" and self.bound not in (known := covering(self.kind, binary=not self.graded)):
            raise ValueError(f"{self.bound} does not hold for this design, {', '.join(known)} do")

    @property
    def kind(self) -> Design:
        """How the losses will come about."""
        if self.population is None:
            return "draws"
        return "list" if self.fixed else "random list"

    @property
    def census(self) -> bool:
        """Whether every unit of the list will be opened; then the count decides and no test does."""
        return self.kind == "list" and self.n == self.population and self.n > 0

    @property
    def countable(self) -> bool:
        """Whether the number of failures alone decides: 0/1 losses, and a bound that no order can change."""
        return not self.graded and _bound(self).order_free

    @property
    def level(self) -> float:
        """The level of one configuration, delta / K."""
        return self.delta / self.family_size


def allowed_failures(design: SampleDesign) -> int | None:
    """Return the most failures among the n units with which a 0/1 clause is certified; None if not even 0."""
    _demand_countable(design)
    if not _certifies(design, 0):
        return None
    return _last(lambda failures: _certifies(design, failures), design.n)


def failing_from(design: SampleDesign) -> int | None:
    """Return the fewest failures among the n units with which a 0/1 clause is FAIL; None if not even n."""
    _demand_countable(design)
    if design.census:
        return floor(exact(design.alpha) * design.n) + 1
    bound, level = _bound(design), design.delta / design.clauses / (2 if design.looks else 1)
    last = _last(lambda k: bound.lower(_sample(design, k), level) <= design.alpha, design.n)
    return last + 1 if last < design.n else None


def smallest_certifiable_risk(design: SampleDesign) -> float:
    """Return the upper bound that n units without a single failure give: no smaller risk can be shown."""
    return 0.0 if design.census else _bound(design).upper(_sample(design, 0), design.level)


def units_needed(design: SampleDesign, failures: int = 0) -> int | None:
    """Return the smallest n that certifies with ``failures`` (0 if graded); None if the list has too few."""
    if failures:
        _demand_countable(design)
    most = LARGEST_N if design.population is None else design.population
    low = failures  # too few: when every unit fails nothing is certified
    high = min(max(2 * low, 16), most)
    while high < most and not _certifies(replace(design, n=high), failures):
        low, high = high, min(2 * high, most)
    if high <= low or not _certifies(replace(design, n=high), failures):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _certifies(replace(design, n=middle), failures) else (middle, high)
    return high


def certification_probability(design: SampleDesign, true_risk: float) -> float:
    """Return the exact probability that a 0/1 clause with ``true_risk`` is certified at delta / K.

    On a list the number of failing units is ``true_risk`` times N, rounded. Where losses are not fixed, every unit
    leaks with that chance.
    """
    allowed = allowed_failures(design)
    if allowed is None:
        return 0.0
    if design.kind != "list":
        return float(stats.binom.cdf(allowed, design.n, true_risk))
    failing = round(true_risk * (design.population or 0))
    return float(stats.hypergeom.cdf(allowed, design.population, failing, design.n))


def simulated_certification(
    design: SampleDesign, losses: np.ndarray, *, replications: int = 1000, seed: int = 0
) -> float:
    """Return the share of ``replications`` in which a graded clause is certified at delta / K.

    ``losses`` (m,) in [0, 1] stand for the units: a pilot, or a law at a stated mean (``concentrated``, ``diffuse``).
    On a list N of them are laid out at evenly spaced quantiles and n drawn without replacement; else, and where
    losses are not fixed, n are drawn with replacement.
    """
    if design.census:
        return float(_spread(losses, design.n).mean() <= design.alpha)
    if losses.min() == losses.max():
        replications = 1  # every draw is the same
    bound = _bound(design if design.bound != "auto" else replace(design, graded=True))
    certified = [
        bound.p_value(sample, design.alpha) <= design.level
        for sample in _draws(design, losses, replications, seed)
    ]
    return float(np.mean(certified))


def concentrated(mean: float, size: int = 10_000) -> np.ndarray:
    """Return (size,) losses with ``mean``, all of it in as few units as possible: 0 or 1."""
    return np.repeat([1.0, 0.0], [round(mean * size), size - round(mean * size)])


@lru_cache(maxsize=64)
def diffuse(mean: float, size: int = 2_000) -> np.ndarray:
    """Return (size,) losses spread over the units: Beta quantiles with ``mean`` m in [0, 1) and sd m (1 - m)."""
    weight = 1 / (mean * (1 - mean)) - 1 if mean else 1.0
    middles = (np.arange(size) + 0.5) / size
    found = stats.beta.ppf(middles, mean * weight, (1 - mean) * weight) if mean else np.zeros(size)
    found.flags.writeable = False  # shared by all callers
    return found


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


def refuse_unlikely(
    design: SampleDesign, twins: int, rank: int, what: str, least: float = LEAST_CHANCE
) -> None:
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
    return build(_decides(design) if design.bound == "auto" else design.bound, design.level)


def _decides(design: SampleDesign) -> str:
    """Return the name of the bound that will decide, as ``clauses.choose`` picks it."""
    if design.kind == "list":
        return "betting_without_replacement" if design.graded else "hypergeometric"
    graded = "betting" if design.kind == "draws" else "mixture"
    return graded if design.graded else "binomial"


def _demand_countable(design: SampleDesign) -> None:
    if not design.countable:
        raise ValueError(
            "failures are counted for 0/1 losses and bounds without an order; use simulated_certification for"
            " graded ones"
        )


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
    if design.kind != "list":
        for _ in range(replications):
            yield Sample(random.choice(losses, design.n), design.population)
        return
    listed = _spread(losses, design.population or 0)
    for _ in range(replications):
        yield Sample(random.permutation(listed)[: design.n], design.population)


def _spread(losses: np.ndarray, size: int) -> np.ndarray:
    return np.quantile(losses, (np.arange(size) + 0.5) / size, method="inverted_cdf")
