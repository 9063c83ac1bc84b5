"""Risk landscape: a smooth model of one risk over a method's hyperparameters. Exploration, never certifying.

Gaussian process regression (Rasmussen and Williams, 2006, chapter 2) on log-scaled parameters. Risks enter as
arcsin(sqrt(risk)), on which scale a share of n units has variance 1/(4n) whatever its value (Anscombe,
Biometrika 35, 1948); every configuration brings the noise of its own units, and a common noise term stands
for training the same recipe again. Bands are those of the process, widened until they would have held the
configurations that were left out one at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import ceil, sqrt
from typing import Any

import numpy as np

from audit.core.lazy import lazy

gp = lazy("sklearn.gaussian_process")
kernels = lazy("sklearn.gaussian_process.kernels")
sklearn_errors = lazy("sklearn.exceptions")
stats = lazy("scipy.stats")

Process = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

FEWEST = 3
"""Configurations of a method below which there is no landscape."""


class RiskLandscape:
    """Predicts a risk in [0, 1] from positive hyperparameters; follows scikit-learn's estimator conventions.

    Parameters
    ----------
    level: share of new configurations whose risk a band should hold, in (0, 1). C configurations support at
        most C / (C + 1): below that many, ``level_`` is smaller than asked.
    restarts: further starting points of the likelihood's optimiser.
    seed: of these starting points.

    Attributes
    ----------
    low_, high_: (D,) smallest and largest value fitted, per parameter; no suggestion leaves this box.
    risk_: (C,) mean loss of each configuration on the units it was fitted to.
    factor_: widening of the process's own band, at least 1.
    level_: min(level, C / (C + 1)).
    held_out_: (C,) bool; fitted to all others, the process's own band, not widened, held this configuration.
    coverage_: mean of ``held_out_``; compare with ``level``.

    """

    def __init__(self, level: float = 0.8, restarts: int = 2, seed: int = 0) -> None:
        self.level = level
        self.restarts = restarts
        self.seed = seed

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's parameters; ``deep`` changes nothing here."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **params: Any) -> RiskLandscape:
        """Set constructor parameters and return self; unknown names are errors."""
        unknown = sorted(set(params) - set(_PARAMETERS))
        if unknown:
            raise ValueError(f"RiskLandscape has no parameters {unknown}; it takes {', '.join(_PARAMETERS)}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(self, X: np.ndarray, y: np.ndarray) -> RiskLandscape:
        """Fit to (C, D) positive parameters and (C, n) losses of the same units; returns self.

        NaN is a missing score and counts as 1. ValueError with fewer than 3 configurations, without units,
        without a parameter that varies, or with a parameter that has no logarithm.
        """
        if not 0 < self.level < 1:
            raise ValueError(f"level must be in (0, 1), got level={self.level}")
        parameters, losses = _checked(X, y)
        self.low_, self.high_ = parameters.min(axis=0), parameters.max(axis=0)
        places = self._places(parameters)
        angles, noise = variance_stable(losses)
        self.risk_ = np.where(np.isnan(losses), 1.0, losses).mean(axis=1)
        self._process, kernel = self._fitted(places, angles, noise, _start(places.shape[1]), self.restarts)
        distances = np.array(
            [self._left_out(places, angles, noise, kernel, row) for row in range(len(places))]
        )
        self._calibrate(distances)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return (M,) expected risks of (M, D) parameters."""
        return self.predict_interval(X)[:, 0]

    def predict_interval(self, X: np.ndarray) -> np.ndarray:
        """Return (M, 3): expected risk, lower and upper end of the band that should hold a new one."""
        angle, deviation = self._process(self._places(np.asarray(X, dtype=np.float64)))
        reach = self.factor_ * _reach(self.level, len(self.risk_)) * deviation
        return np.stack([_share(angle), _share(angle - reach), _share(angle + reach)], axis=1)

    def _places(self, parameters: np.ndarray) -> np.ndarray:
        """Return parameters on the logarithmic scale, the fitted box being [0, 1] per parameter."""
        return (np.log(parameters) - np.log(self.low_)) / (np.log(self.high_) - np.log(self.low_))

    def _fitted(
        self, places: np.ndarray, angles: np.ndarray, noise: np.ndarray, start: Any, restarts: int
    ) -> tuple[Process, Any]:
        """Return a function from places (M, D) to mean and standard deviation (M,), and the kernel found."""
        centre = float(angles.mean())
        process = gp.GaussianProcessRegressor(
            start, alpha=noise, n_restarts_optimizer=restarts, random_state=self.seed
        )
        with warnings.catch_warnings():
            # A flat landscape has its best length at the end of the range; that is an answer, not a failure.
            warnings.simplefilter("ignore", sklearn_errors.ConvergenceWarning)
            process.fit(places, angles - centre)

        def at(new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            mean, deviation = process.predict(new, return_std=True)
            return mean + centre, deviation

        return at, process.kernel_

    def _left_out(
        self, places: np.ndarray, angles: np.ndarray, noise: np.ndarray, kernel: Any, row: int
    ) -> float:
        """Return how many standard deviations a configuration lies from what the others predict for it."""
        rest = np.arange(len(places)) != row
        process, _ = self._fitted(places[rest], angles[rest], noise[rest], kernel, restarts=0)
        mean, deviation = process(places[[row]])
        return abs(angles[row] - mean[0]) / sqrt(deviation[0] ** 2 + noise[row])

    def _calibrate(self, distances: np.ndarray) -> None:
        """Widen to the conformal rank of the left-out distances, among C + 1 equally likely ones."""
        count = len(distances)
        reach, rank = _reach(self.level, count), min(ceil(self.level * (count + 1)), count)
        self.level_ = min(self.level, count / (count + 1))
        self.factor_ = max(1.0, float(np.sort(distances)[rank - 1]) / reach)
        self.held_out_ = distances <= reach
        self.coverage_ = float(self.held_out_.mean())


_PARAMETERS = ("level", "restarts", "seed")


def variance_stable(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return arcsin(sqrt(mean)) (C,) of losses (C, n), and the variance (C,) of that number; NaN counts as 1.

    Half a unit of loss 0 and half of loss 1 are added, so that no count of units proves a variance of 0. By
    the delta method the variance is var(loss) / (4 n mean (1 - mean)), which is 1 / (4 n) for 0/1 losses.
    """
    losses = np.where(np.isnan(losses), 1.0, losses)
    units = losses.shape[1] + 1
    mean = (losses.sum(axis=1) + 0.5) / units
    variance = ((losses**2).sum(axis=1) + 0.5) / units - mean**2
    return np.arcsin(np.sqrt(mean)), variance / (4 * units * mean * (1 - mean))


def _start(parameters: int) -> Any:
    """Return the kernel to start from: variance of angles, one length per parameter, training noise."""
    smooth = kernels.Matern(np.ones(parameters), (0.2, 5.0), nu=2.5)
    return kernels.ConstantKernel(0.05, (0.01, 1.0)) * smooth + kernels.WhiteKernel(1e-3, (1e-6, 0.05))


def _reach(level: float, count: int) -> float:
    """Return the two-sided quantile of Student's t: the process's scale is estimated from ``count`` risks."""
    return float(stats.t.ppf((1 + level) / 2, count - 1))


def _share(angle: np.ndarray) -> np.ndarray:
    return np.sin(np.clip(angle, 0.0, np.pi / 2)) ** 2


def _checked(parameters: np.ndarray, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    parameters, losses = np.asarray(parameters, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if parameters.ndim != 2 or losses.ndim != 2 or len(parameters) != len(losses):
        raise ValueError(f"expected (C, D) parameters, (C, n) losses; got {parameters.shape}, {losses.shape}")
    if len(parameters) < FEWEST:
        raise ValueError(f"{len(parameters)} configurations, a landscape needs at least {FEWEST}")
    if not losses.shape[1]:
        raise ValueError("no tune unit was measured")
    if not bool((parameters > 0).all() and np.isfinite(parameters).all()):
        raise ValueError(f"parameters must be positive to have a logarithm, got {np.min(parameters):.3g}")
    if not parameters.shape[1] or bool((parameters.min(axis=0) == parameters.max(axis=0)).any()):
        raise ValueError("every parameter must take at least two values")
    if bool(((losses < 0) | (losses > 1)).any()):
        raise ValueError(f"losses must be in [0, 1], got [{np.nanmin(losses):.3g}, {np.nanmax(losses):.3g}]")
    return parameters, losses
