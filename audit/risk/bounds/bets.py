"""Predictable bets of Waudby-Smith and Ramdas (JRSS B 86(1), 2024, arXiv:2010.09686, section 4).

The bet on unit i looks at units before i only: sqrt(2 ln(1/level) / (n variance)), variance estimated so far.
It is capped at 1, which never depends on the tested mean. So the wealth is non-negative and rises with the
tested mean, and the set of rejected means is an interval: test and bound are the same object.
"""

from __future__ import annotations

from math import log

import numpy as np


def predictable(losses: np.ndarray, level: float, horizon: int) -> np.ndarray:
    """Return bets (n,) in (0, 1] for losses (n,); ``level`` and ``horizon`` are fixed before the data."""
    count = np.arange(1, len(losses) + 1)
    means = (0.5 + np.cumsum(losses)) / (count + 1)
    spread = (0.25 + np.cumsum((losses - means) ** 2)) / (count + 1)  # after unit i, shape (n,)
    before = np.concatenate([[0.25], spread[:-1]])  # before unit i
    return np.minimum(1.0, np.sqrt(-2 * log(level) / (horizon * before)))


def peak(bets: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Return max over t >= 0 of sum_{i <= t} log(1 + bet_i gain_i) along the last axis; 0 at t = 0.

    One running maximum over the whole sequence (Ville's inequality allows exactly one).
    """
    with np.errstate(divide="ignore"):  # all wealth lost: log 0 = -inf, and it stays lost
        wealth = np.cumsum(np.log1p(np.maximum(bets * gains, -1.0)), axis=-1)
    return np.max(wealth, axis=-1, initial=0.0)
