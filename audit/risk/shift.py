"""What an upper bound becomes if the units that matter are not drawn as the audited ones were.

Two assumptions, neither of which can be checked from the audit's own data:

Hellinger radius. The law Q that matters lies within Hellinger distance rho of the audited law P, where
1 - rho^2 = sum of sqrt(P Q). For losses in [0, 1] with mean R and variance V under P,
R_Q <= R + 2 rho (1 - rho^2) sqrt(2 - rho^2) sqrt(V) + rho^2 (2 - rho^2) (1 - R)
as long as rho^2 <= 1 - (1 + (1 - R)^2 / V)^(-1/2): the Gramian bound of Weber, Li, Wang, Zhao, Li, Zhang (ICML
2022, arXiv:2202.01679), in the form of C-RAG (Kang, Gürel, Yu, Song, Li, ICML 2024,
arXiv:2402.03181). Beyond that radius nothing better than 1 is known.

Likelihood ratio. No unit matters more than ``ratio`` times as much under Q as under P. Then R_Q <= ratio R; and
where the ratio w of every unit is known, w L / ratio is again a loss in [0, 1], so that any bound for graded
losses is exact for Q (importance weighting; Park et al., ICLR 2022; Almeida et al., PMLR 266, 2025).
"""

from __future__ import annotations

import numpy as np

_HALVINGS = 50


def hellinger_upper(risk: float, rho: float, variance: float | None = None) -> float:
    """Return the largest risk in [0, 1] under any law within Hellinger distance ``rho`` of the audited one.

    ``risk`` in [0, 1]: the audited risk, or an upper bound of it. ``variance`` of the losses; without it the
    largest that losses in [0, 1] can have, risk (1 - risk), which makes the result rise with ``risk``, so that
    an upper bound may be put in. Undefined input gives 1.
    """
    if not 0 <= rho <= 1:
        raise ValueError(f"a Hellinger distance lies in [0, 1], got rho={rho}")
    if not 0 <= risk <= 1:  # NaN too
        return 1.0
    largest = risk * (1 - risk)
    spread = largest if variance is None else variance
    if not 0 <= spread <= largest + 1e-12:
        raise ValueError(f"losses in [0, 1] of mean {risk:g} have a variance up to {largest:g}, got {spread}")
    if rho == 0:
        return risk
    if not rho**2 <= _largest_square(risk, spread):
        return 1.0
    swing = rho * (1 - rho**2) * np.sqrt(2 - rho**2)
    return float(min(1.0, risk + 2 * swing * np.sqrt(spread) + rho**2 * (2 - rho**2) * (1 - risk)))


def largest_radius(risk: float, budget: float) -> float | None:
    """Return the largest rho at which ``hellinger_upper`` keeps ``budget``, rounded down; None if not even at 0."""
    if not (0 <= risk <= budget):
        return None
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if hellinger_upper(risk, middle) <= budget else (low, middle)
    return low


def ratio_upper(risk: float, ratio: float) -> float:
    """Return the largest risk if no unit matters more than ``ratio`` >= 1 times as much as in the audit."""
    if not ratio >= 1:
        raise ValueError(
            f"some unit always matters at least as much as before: ratio >= 1, got ratio={ratio}"
        )
    return float(min(1.0, ratio * risk)) if 0 <= risk <= 1 else 1.0


def reweighted(losses: np.ndarray, weights: np.ndarray, ratio: float) -> np.ndarray:
    """Return (C, n) w L / ratio in [0, 1]: its mean under the audited law is R_Q / ratio.

    ``weights`` (n,) are the known likelihood ratios of the units, with mean 1 over the whole list (or under the
    audited law), none above ``ratio``. Test R_Q > alpha as mean > alpha / ratio, and multiply bounds by
    ``ratio``. The result is graded. A missing score (NaN) counts as a loss of 1, which is w / ratio here.
    """
    losses, weights = np.asarray(losses, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if weights.shape != losses.shape[-1:]:
        raise ValueError(f"one weight per unit: {losses.shape[-1:]}, got {weights.shape}")
    if not bool(((weights >= 0) & (weights <= ratio)).all()):
        raise ValueError(f"weights must be in [0, {ratio:g}], got [{weights.min():.3g}, {weights.max():.3g}]")
    return np.where(np.isnan(losses), 1.0, losses) * weights / ratio


def _largest_square(risk: float, variance: float) -> float:
    """Return the largest rho^2 for which the Gramian bound is proven."""
    if variance == 0:
        return 1.0
    return 1 - (1 + (1 - risk) ** 2 / variance) ** -0.5
