"""C-RAG-style reconstruction (ours): what a CUR on a normalised e_R would be. A baseline, never a verdict.

FROC (arXiv:2512.13337) does not publish its normaliser in detail. The machinery it builds on does: C-RAG
(Kang, Gurel, Yu, Song, Li, ICML 2024, arXiv:2402.03181), Propositions 1 and 2. Put together: one e_R per
configuration, normalised to [0, 1], enters the Hoeffding-Bentkus bound as if it were the mean of n bounded
losses, which it is not. ``froc_study`` measures what comes of it.

C-RAG's released code inverts the bound with a root finder that returns its start value at mean 0; here the
inverse is the bracketed one of ``hoeffding_bentkus``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from audit.risk.bounds.base import Sample, checked
from audit.risk.bounds.hoeffding_bentkus import HoeffdingBentkus

Normaliser = Callable[[np.ndarray], np.ndarray]
"""(C,) e_R, NaN where not measured -> (C,) in [0, 1], NaN where there is no value."""

BOUND = HoeffdingBentkus()


def min_max(scores: np.ndarray) -> np.ndarray:
    """Return (e - min) / (max - min) over the configurations; NaN if all are equal."""
    low, high = np.nanmin(scores, initial=np.inf), np.nanmax(scores, initial=-np.inf)
    return (scores - low) / (high - low) if high > low else np.full(len(scores), np.nan)


def divide_by_max(scores: np.ndarray) -> np.ndarray:
    """Return e / max over the configurations; NaN if the largest is 0."""
    high = np.nanmax(scores, initial=-np.inf)
    return scores / high if high > 0 else np.full(len(scores), np.nan)


def fixed_map(scores: np.ndarray) -> np.ndarray:
    """Return 1 - exp(-e): the same map whatever the other configurations are."""
    return -np.expm1(-np.asarray(scores))


NORMALISERS: Mapping[str, Normaliser] = MappingProxyType(
    {"min–max": min_max, "divide by max": divide_by_max, "fixed 1 − exp(−e)": fixed_map}
)


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What the baseline would report; arrays are (C,), absence is 1 in ``cur`` and never ``listed``.

    ``normalised`` e_R in [0, 1] or NaN; ``cur`` the C-RAG conformal risk at delta, each by itself (Prop. 1);
    ``listed`` the configurations with p <= delta / C (Prop. 2); ``selected`` the row of the smallest e_R, -1
    without one.
    """

    normalised: np.ndarray
    cur: np.ndarray
    listed: np.ndarray
    selected: int


def reconstruct(scores: np.ndarray, n: int, alpha: float, delta: float, normaliser: str) -> Reconstruction:
    """Return CUR and valid set of (C,) ``scores`` e_R >= 0, taken for means over ``n`` units, NaN = absent.

    ``alpha`` is the budget on the normalised scale, ``delta`` the error probability it nominally keeps.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if bool((scores < 0).any()):
        raise ValueError(f"e_R is a sum of soft margins and cannot be negative, got {np.nanmin(scores):.3g}")
    checked(delta)
    values = NORMALISERS[normaliser](scores)
    there = np.flatnonzero(~np.isnan(values))
    cur, listed = np.ones(len(values)), np.zeros(len(values), dtype=bool)
    for row in there:
        cur[row] = BOUND.upper(taken_for_mean(values[row], n), delta)
        listed[row] = BOUND.p_value(taken_for_mean(values[row], n), alpha) <= delta / len(values)
    selected = int(there[np.argmin(values[there])]) if len(there) else -1
    return Reconstruction(values, cur, listed, selected)


def taken_for_mean(value: float, n: int) -> Sample:
    """Return ``n`` equal losses: a sample that has ``value`` in [0, 1] as its mean."""
    return Sample(np.full(n, min(float(value), 1.0)))
