"""p-values and upper bounds of many samples at once, equal to what the bounds return one at a time.

A bound that does not look at the order of 0/1 losses is a function of their number: it is asked once per
count. The betting bounds are written here over replications. Every other bound is asked sample by sample.
``tests/validity/test_batches.py`` holds all of them to the one-at-a-time answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import log
from typing import Any

import numpy as np

from audit.risk.bounds.base import Bound, Sample, exact
from audit.risk.bounds.bets import peak

Evidence = Callable[[np.ndarray], np.ndarray]
"""Tested means (R,) -> natural logarithm of the evidence (R,) that each sample's mean lies below."""


def p_values(bound: Bound, losses: np.ndarray, alpha: float, population: int | None = None) -> np.ndarray:
    """Return (...) p-values of "risk > alpha" for samples (..., n) of one size."""
    rows = losses.reshape(-1, losses.shape[-1])
    if _counts_suffice(bound, rows):
        found = p_by_count(bound, rows.shape[1], alpha, population)[_failures(rows)]
    elif bound.name in _EVIDENCE:
        evidence = _EVIDENCE[bound.name](bound, rows, population)
        found = np.exp(-np.maximum(evidence(np.full(len(rows), float(alpha))), 0.0))
    else:
        found = np.array([bound.p_value(Sample(row, population), alpha) for row in rows])
    return found.reshape(losses.shape[:-1])


def uppers(bound: Bound, losses: np.ndarray, delta: float, population: int | None = None) -> np.ndarray:
    """Return (...) upper bounds at ``delta`` for samples (..., n) of one size."""
    rows = losses.reshape(-1, losses.shape[-1])
    if _counts_suffice(bound, rows):
        found = upper_by_count(bound, rows.shape[1], delta, population)[_failures(rows)]
    elif bound.name in _EVIDENCE:
        found = _smallest(_EVIDENCE[bound.name](bound, rows, population), len(rows), -log(delta))
    else:
        found = np.array([bound.upper(Sample(row, population), delta) for row in rows])
    return found.reshape(losses.shape[:-1])


@lru_cache(maxsize=512)
def p_by_count(bound: Bound, n: int, alpha: float, population: int | None = None) -> np.ndarray:
    """Return (n + 1,) p-values of an order-free bound by the number of failures; counts beyond a list are 1."""
    return _by_count(n, population, lambda sample: bound.p_value(sample, alpha))


@lru_cache(maxsize=512)
def upper_by_count(bound: Bound, n: int, delta: float, population: int | None = None) -> np.ndarray:
    """Return (n + 1,) upper bounds of an order-free bound by the number of failures."""
    return _by_count(n, population, lambda sample: bound.upper(sample, delta))


def _by_count(n: int, population: int | None, ask: Callable[[Sample], float]) -> np.ndarray:
    units = np.arange(n)
    found = np.array([ask(Sample((units < count).astype(float), population)) for count in range(n + 1)])
    found.flags.writeable = False  # shared by all callers
    return found


def _counts_suffice(bound: Bound, rows: np.ndarray) -> bool:
    return bound.order_free and bool(((rows == 0) | (rows == 1)).all())


def _failures(rows: np.ndarray) -> np.ndarray:
    return (rows == 1).sum(axis=1)


def _smallest(evidence: Evidence, size: int, target: float) -> np.ndarray:
    """Return (R,) the smallest means whose evidence reaches ``target``, from above; 1 where none does."""
    low, high = np.zeros(size), np.ones(size)
    at_zero = evidence(low) >= target
    for _ in range(42):
        middle = (low + high) / 2
        holds = evidence(middle) >= target
        low, high = np.where(holds, low, middle), np.where(holds, middle, high)
    return np.where(at_zero, 0.0, high)


def predictable_bets(losses: np.ndarray, level: float) -> np.ndarray:
    """Return predictable bets (R, n); see ``bounds/bets.py``."""
    n = losses.shape[1]
    count = np.arange(1, n + 1)
    means = (0.5 + np.cumsum(losses, axis=1)) / (count + 1)
    spread = (0.25 + np.cumsum((losses - means) ** 2, axis=1)) / (count + 1)
    before = np.concatenate([np.full((len(losses), 1), 0.25), spread[:, :-1]], axis=1)
    return np.minimum(1.0, np.sqrt(-2 * log(level) / (n * before)))


def _betting(bound: Any, losses: np.ndarray, population: int | None) -> Evidence:
    bets = predictable_bets(losses, bound.level)
    return lambda means: peak(bets, means[:, None] - losses)


def _without_replacement(bound: Any, losses: np.ndarray, population: int | None) -> Evidence:
    if population is None:
        raise ValueError("betting without replacement needs the size of the list, got population=None")
    bets, n = predictable_bets(losses, bound.level), losses.shape[1]
    seen = np.concatenate([np.zeros((len(losses), 1)), np.cumsum(losses, axis=1)], axis=1)  # (R, n + 1)
    left = population - np.arange(n + 1)

    def evidence(means: np.ndarray) -> np.ndarray:
        totals = _totals(means, population)
        missing = totals[:, None] - seen
        rest = np.clip(missing[:, :-1] / left[:-1], 0.0, 1.0)
        wealth = peak(np.where(rest > 0, bets, 0.0), rest - losses)
        impossible = (missing > left + 1e-9).any(axis=1)
        return np.where(totals < seen[:, -1] - 1e-12, 0.0, np.where(impossible, np.inf, wealth))

    return evidence


def _totals(means: np.ndarray, population: int) -> np.ndarray:
    """Return mean times size (R,); one budget for all is a decimal and multiplied exactly."""
    if len(means) and bool((means == means[0]).all()):
        return np.full(len(means), float(exact(float(means[0])) * population))
    return means * population


def _mixture(bound: Any, losses: np.ndarray, population: int | None) -> Evidence:
    grid = (np.arange(bound.bets) + 0.5) / bound.bets

    def evidence(means: np.ndarray) -> np.ndarray:
        gains = means[:, None] - losses
        logs = np.array([np.log1p(bet * gains).sum(axis=1) for bet in grid])
        return np.logaddexp.reduce(logs, axis=0) - log(len(grid))

    return evidence


_EVIDENCE: dict[str, Callable[..., Evidence]] = {
    "betting": _betting,
    "betting_without_replacement": _without_replacement,
    "mixture": _mixture,
}
