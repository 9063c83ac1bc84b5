"""Suggestions from two risk landscapes: candidates for a new audit, with fresh calibration units.

A suggestion is the point of the explored box whose predicted e_R is smallest at the upper ends of both bands:
settings that are promising and not merely unknown. What was tried stays out, and so do points next to one
that was already suggested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.core.lazy import lazy
from audit.risk.froc import EQUAL, Weights
from audit.risk.landscape import RiskLandscape

qmc = lazy("scipy.stats.qmc")

APART = 0.15  # of the box's side: what counts as another setting
_POINTS = 9  # log2 of the number of points looked at


@dataclass(frozen=True)
class Suggestion:
    """Parameters (D,) for a new configuration, and (risk, lower, upper) of what is expected of it."""

    parameters: tuple[float, ...]
    forget: tuple[float, float, float]
    utility: tuple[float, float, float]
    score: float


def suggest(
    forget: RiskLandscape,
    utility: RiskLandscape,
    tried: np.ndarray,
    *,
    whole: Sequence[bool] = (),
    weights: Weights = EQUAL,
    count: int = 2,
) -> tuple[Suggestion, ...]:
    """Return up to ``count`` settings inside the box of ``tried`` (C, D), best first, with two digits each.

    Both landscapes are fitted to ``tried``; ``whole`` marks parameters that are whole numbers.
    """
    tried = np.asarray(tried, dtype=np.float64)
    low, high = tried.min(axis=0), tried.max(axis=0)
    unit = qmc.Sobol(tried.shape[1], scramble=False).random_base2(_POINTS)
    points = _rounded(low * (high / low) ** unit, whole)
    points = np.unique(np.clip(points, low, high), axis=0)
    lost, harmed = (model.predict_interval(points) for model in (forget, utility))
    cautious = weights.forget * lost[:, 2] + weights.utility * harmed[:, 2]
    taken = [_place(row, low, high) for row in tried]
    chosen: list[Suggestion] = []
    for row in np.argsort(cautious, kind="stable"):
        place = _place(points[row], low, high)
        if len(chosen) < count and min(np.abs(place - other).max() for other in taken) >= APART:
            taken.append(place)
            score = float(weights.forget * lost[row, 0] + weights.utility * harmed[row, 0])
            chosen.append(
                Suggestion(tuple(points[row].tolist()), _band(lost[row]), _band(harmed[row]), score)
            )
    return tuple(chosen)


def _band(values: np.ndarray) -> tuple[float, float, float]:
    risk, low, high = values.tolist()
    return risk, low, high


def _place(point: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.log(point / low) / np.log(high / low)


def _rounded(points: np.ndarray, whole: Sequence[bool]) -> np.ndarray:
    """Return points with two significant digits; whole numbers also without a fraction."""
    digit = 10.0 ** (np.floor(np.log10(points)) - 1)
    rounded = np.round(points / digit) * digit
    for column, is_whole in enumerate(whole):
        if is_whole:
            rounded[:, column] = np.maximum(np.round(rounded[:, column]), 1)
    # Through text, so that 0.00037 is the number that is printed.
    return np.vectorize(lambda value: float(f"{value:.6g}"))(rounded)
