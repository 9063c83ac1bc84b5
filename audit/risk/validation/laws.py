"""Laws of a loss with a given mean, and dependence between configurations that share their units.

The laws are those a bound meets in an audit: leaked or not; shares of probes, wide and narrow; answers that
are half right; units that never leak beside some that do; the estimate of leak@k from four samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from types import MappingProxyType

import numpy as np

from audit.core.lazy import lazy
from audit.risk.losses import leak_at_k

special = lazy("scipy.special")

Shape = int | tuple[int, ...]
Law = Callable[[np.random.Generator, float, Shape], np.ndarray]
"""(generator, risk, shape) -> i.i.d. losses in [0, 1] with mean ``risk`` < 1/4."""


def of_uniform(law: str, uniforms: np.ndarray, risk: float) -> np.ndarray:
    """Return losses with mean ``risk`` as increasing functions of uniforms, which dependent ones share.

    ``law`` is ``bernoulli``, ``0 and 1/2`` or ``zero-inflated``.
    """
    return _QUANTILES[law](1 - uniforms, risk)


def _zero_inflated(tail: np.ndarray, risk: float) -> np.ndarray:
    return np.where(tail < 4 * risk, 0.5 - tail / max(8 * risk, 1e-300), 0.0)


_QUANTILES: Mapping[str, Callable[[np.ndarray, float], np.ndarray]] = MappingProxyType(
    {
        "bernoulli": lambda tail, risk: (tail < risk).astype(float),
        "0 and 1/2": lambda tail, risk: np.where(tail < 2 * risk, 0.5, 0.0),
        "zero-inflated": _zero_inflated,
    }
)


def _uniform(law: str) -> Law:
    return lambda random, risk, shape: of_uniform(law, random.random(shape), risk)


def _beta(spread: float) -> Law:
    return lambda random, risk, shape: random.beta(risk * spread, (1 - risk) * spread, shape)


def _leak_at_2_of_4(random: np.random.Generator, risk: float, shape: Shape) -> np.ndarray:
    leaking = random.binomial(4, 1 - sqrt(1 - risk), shape)  # one sample leaks with this chance
    estimates = leak_at_k(np.arange(4) < np.arange(5)[:, None], k=2)  # by the number that leak, (5,)
    return estimates[leaking]


LAWS: Mapping[str, Law] = MappingProxyType(
    {
        "bernoulli": _uniform("bernoulli"),
        "beta, narrow": _beta(30.0),
        "beta, wide": _beta(2.0),
        "0 and 1/2": _uniform("0 and 1/2"),
        "zero-inflated": _uniform("zero-inflated"),
        "leak at 2 of 4": _leak_at_2_of_4,
    }
)

DEPENDENCE: Mapping[str, float] = MappingProxyType({"independent": 0.0, "one-factor": 0.5, "comonotone": 1.0})
"""Correlation of the normal scores that configurations and attacks have in common on one unit."""


def dependent_scores(random: np.random.Generator, dependence: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return standard normal scores (..., C, A, n): along C and A they share a factor per unit."""
    share = DEPENDENCE[dependence]
    *outer, _, _, units = shape
    common = random.standard_normal((*outer, 1, 1, units)) if share else 0.0
    own = random.standard_normal(shape) if share < 1 else np.zeros(shape)
    return sqrt(share) * common + sqrt(1 - share) * own


def uniforms_of(scores: np.ndarray) -> np.ndarray:
    """Return uniforms from standard normal scores, elementwise."""
    return special.ndtr(scores)
