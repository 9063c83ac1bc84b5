"""Units needed to certify one configuration with probability 80 %, by loss law and bound (printed by `power.py`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import stats

from audit.risk.bounds.base import Bound, Sample, build

POWER, LARGEST = 0.8, 1500
BOUNDS = ("hoeffding_bentkus", "maurer_pontil", "mixture", "betting", "binomial")

Law = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def beta(mean: float, sd: float) -> Law:
    size = mean * (1 - mean) / sd**2 - 1
    return lambda random, shape: random.beta(mean * size, (1 - mean) * size, shape)


def bernoulli(mean: float) -> Law:
    return lambda random, shape: (random.random(shape) < mean).astype(float)


def half(mean: float) -> Law:
    return lambda random, shape: np.where(random.random(shape) < 2 * mean, 0.5, 0.0)


def inflated(mean: float) -> Law:
    return lambda random, shape: np.where(random.random(shape) < 2 * mean, random.random(shape), 0.0)


NAMED = "Beta, mean .05, sd .05"
CELLS: tuple[tuple[str, Law, float, float, float], ...] = (  # law, sampler, 0/1 risk or nan, alpha, delta
    (NAMED, beta(0.05, 0.05), np.nan, 0.1, 0.05),
    (NAMED, beta(0.05, 0.05), np.nan, 0.1, 0.05 / 16),
    ("Beta, mean .05, sd .15", beta(0.05, 0.15), np.nan, 0.1, 0.05),
    ("Beta, mean .02, sd .05", beta(0.02, 0.05), np.nan, 0.1, 0.05),
    ("Beta, mean .02, sd .05", beta(0.02, 0.05), np.nan, 0.05, 0.05),
    ("Beta, mean .07, sd .05", beta(0.07, 0.05), np.nan, 0.1, 0.05),
    ("Beta, mean .05, sd .20", beta(0.05, 0.20), np.nan, 0.1, 0.05),
    ("0 or 1/2, mean .05", half(0.05), np.nan, 0.1, 0.05),
    ("0 or uniform, mean .05", inflated(0.05), np.nan, 0.1, 0.05),
    ("0/1, mean .05", bernoulli(0.05), 0.05, 0.1, 0.05),
    ("0/1, mean .02", bernoulli(0.02), 0.02, 0.1, 0.05),
)


def show(replications: int) -> None:
    print(f"\n## Units needed for a probability of {POWER:.0%} to certify one configuration, graded losses\n")
    print(
        f"{replications} replications; bets sized for delta; 0/1 laws with order-free bounds are exact, not simulated.\n"
    )
    print(
        "| law | alpha | delta | "
        + " | ".join(BOUNDS)
        + " | betting / hoeffding_bentkus | exact or betting / best other |"
    )
    print("|---" * (len(BOUNDS) + 5) + "|")
    for number, (name, law, risk, alpha, delta) in enumerate(CELLS):
        losses = law(np.random.default_rng([7, number]), (replications, LARGEST))
        counted = not np.isnan(risk)
        needed = {
            bound: (
                np.nan
                if bound == "binomial" and not counted
                else units_needed(build(bound, delta), losses, risk, alpha, delta)
            )
            for bound in BOUNDS
        }
        default = needed["binomial" if counted else "betting"]
        best = min(v for k, v in needed.items() if k not in ("binomial", "betting"))
        print(
            f"| {name} | {alpha:g} | {delta:.4g} | "
            + " | ".join("–" if np.isnan(v) else f"{v:g}" for v in needed.values())
            + f" | {needed['betting'] / needed['hoeffding_bentkus']:.2f} | {default / best:.2f} |"
        )


def units_needed(bound: Bound, losses: np.ndarray, risk: float, alpha: float, delta: float) -> float:
    """Return the n sought; infinity beyond the largest n drawn."""
    if bound.order_free and not np.isnan(risk):
        return counted_units(bound, risk, alpha, delta)

    @cache
    def enough(n: int) -> bool:
        shares = [bound.p_value(Sample(row[:n]), alpha) <= delta for row in losses]
        return float(np.mean(shares)) >= POWER

    low, high = 1, LARGEST
    if not enough(high):
        return np.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def counted_units(bound: Bound, risk: float, alpha: float, delta: float) -> float:
    """Return the n from which on the exact power stays at 80 %; counts make it rise in a saw."""
    last, allowed = 0, -1
    for n in range(1, LARGEST + 1):
        while bound.p_value(_counts(n, allowed + 1), alpha) <= delta:
            allowed += 1
        if stats.binom.cdf(allowed, n, risk) < POWER:
            last = n
    return last + 1 if last < LARGEST else np.inf


def _counts(n: int, failures: int) -> Sample:
    return Sample(np.repeat([1.0, 0.0], [failures, n - failures]))
