"""How often the C-RAG-style reconstruction breaks its nominal promises, by simulation.

A sweep of configurations runs from mild to strong unlearning: forget and retain likelihood losses rise, both
accuracies fall. Losses of single units are log-normal around the configuration's mean, half of the log
variance shared by all configurations, since all are measured on the same units. e_R is the published one,
computed once from n units and once from the true means; a promise about the first is judged by the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from math import log, sqrt

import numpy as np

from audit.core.seeds import generator
from audit.risk import froc
from audit.risk.froc_reconstruction import BOUND, NORMALISERS, taken_for_mean

TAILS: Mapping[str, float] = {"light": 0.5, "heavy": 2.0}
"""Standard deviation of a unit's log likelihood loss."""

SPREADS: Mapping[str, float] = {"close": 0.3, "apart": 1.0}
"""Log ratio of the mean losses at both ends of the sweep: a search around one setting, or across settings."""

_TARGET = log(2.0)  # an average forget loss of 2 nats at the best accuracy; in the middle of both sweeps
_BATCH = 500  # replications in memory at once


@dataclass(frozen=True)
class Setting:
    """One cell of the study: ``n`` units measured under ``configurations`` configurations."""

    tails: str
    spread: str
    n: int
    configurations: int = 12
    delta: float = 0.1


@dataclass(frozen=True)
class Broken:
    """In how many ``replications`` a normaliser broke a promise that nominally fails with probability delta.

    ``selected``: the CUR of the configuration with the smallest e_R lies below that configuration's true value.
    ``listed``: the valid set holds a configuration whose true value exceeds the budget, which is set such
    that half of the configurations keep it.
    """

    selected: int
    listed: int
    replications: int


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(tails, spread, n) for tails, spread, n in product(TAILS, SPREADS, (100, 400))
)


def study(setting: Setting, replications: int, seed: int = 0) -> dict[str, Broken]:
    """Return what each normaliser broke in ``replications`` samples of one setting."""
    true, found = _true(setting), np.concatenate(list(_samples(setting, replications, seed)))
    return {name: _broken(setting, name, true, found) for name in NORMALISERS}


def _broken(setting: Setting, name: str, true: np.ndarray, found: np.ndarray) -> Broken:
    """Compare normalised samples (R, C) with the normalised truth (C,)."""
    normalise = NORMALISERS[name]
    truth, values = normalise(true), np.array([normalise(scores) for scores in found])
    budget = float(np.sort(truth)[setting.configurations // 2 - 1])
    # CUR < truth exactly where the test at delta rejects "risk > truth": test and bound are one object.
    below = np.array([_largest_rejected(setting.n, t, setting.delta) for t in truth])
    listing = _largest_rejected(setting.n, budget, setting.delta / setting.configurations)
    chosen = values.argmin(axis=1)
    missed = values[np.arange(len(values)), chosen] <= below[chosen]
    wrongly = ((values <= listing) & (truth > budget)).any(axis=1)
    return Broken(int(missed.sum()), int(wrongly.sum()), len(values))


def _largest_rejected(n: int, risk: float, level: float) -> float:
    """Return the largest mean of n at which "risk or more" is rejected at ``level``; -1 if none is."""
    risk = min(risk, 1 - 1e-12)

    def rejected(mean: float) -> bool:
        return BOUND.p_value(taken_for_mean(mean, n), risk) <= level

    low, high = 0.0, risk
    if not rejected(low):
        return -1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low


def _means(setting: Setting) -> tuple[np.ndarray, ...]:
    """Return true (C,) forget loss, forget accuracy, retain loss, retain accuracy."""
    spread = SPREADS[setting.spread]
    strength = np.linspace(0.0, spread, setting.configurations)
    return 1.5 * np.exp(strength), 0.5 - 0.3 * strength, 0.6 * np.exp(strength), 0.9 - 0.3 * strength


def _true(setting: Setting) -> np.ndarray:
    return _e_r(*_means(setting))


def _e_r(lost: np.ndarray, recalled: np.ndarray, kept: np.ndarray, right: np.ndarray) -> np.ndarray:
    return froc.published_risk(
        froc.forgetting_score(lost, recalled), froc.utility_score(kept, right), _TARGET
    )


def _samples(setting: Setting, replications: int, seed: int) -> Iterator[np.ndarray]:
    """Yield e_R (R, C) from n forget and n retain units, batch by batch."""
    random = generator(seed, *asdict(setting).values())
    for start in range(0, replications, _BATCH):
        size = min(_BATCH, replications - start)
        drawn = [
            (_losses if number % 2 == 0 else _answers)(random, setting, mean, size)
            for number, mean in enumerate(_means(setting))
        ]
        yield np.array([_e_r(*parts) for parts in zip(*drawn, strict=True)])


def _losses(random: np.random.Generator, setting: Setting, mean: np.ndarray, size: int) -> np.ndarray:
    """Return (R, C) averages of n log-normal losses with the given (C,) means."""
    deviation = TAILS[setting.tails]
    shared = random.standard_normal((size, 1, setting.n))
    own = random.standard_normal((size, len(mean), setting.n))
    logs = deviation * sqrt(0.5) * (shared + own) - deviation**2 / 2
    return mean * np.exp(logs).mean(axis=2)


def _answers(random: np.random.Generator, setting: Setting, mean: np.ndarray, size: int) -> np.ndarray:
    """Return (R, C) shares of n right answers."""
    return random.binomial(setting.n, mean, (size, len(mean))) / setting.n
