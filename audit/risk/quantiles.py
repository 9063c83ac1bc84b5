"""The worst-off subjects: at least a share q of them leak at most x, at confidence 1 - delta.

A mean can be small while a few lose everything; a quantile says how much nearly everybody keeps. x is an order
statistic of the sample whose rank depends on n, q and delta only:
- draws: P(L_(k) below the quantile) <= P(Bin(n, q) >= k). Conover, Practical Nonparametric Statistics, 1999, section
  3.2; Snell, Zollo, Deng, Pitassi, Zemel (quantile risk control), ICLR 2023, arXiv:2212.13629;
- a finite list of N: at most m - 1 units lie below the m-th smallest, m = ceil(q N), so P(Hyp(N, m - 1, n) >= k);
- all shares together, for draws: Massart, Ann. Probab. 18(3), 1990 (the constant in Dvoretzky-Kiefer-Wolfowitz).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import ceil, log, sqrt

import numpy as np

from audit.core.lazy import lazy
from audit.risk.bounds.base import checked, exact

stats = lazy("scipy.stats")


def quantile_upper(losses: np.ndarray, share: float, delta: float, population: int | None = None) -> float:
    """Return x in [0, 1] such that at least ``share`` of all units lose at most x, at confidence 1 - ``delta``.

    Parameters
    ----------
    losses: (n,) in [0, 1], a random sample of units; NaN is a missing score and counts as 1.
    share: of the draws' distribution, or of the N units of the list, in (0, 1).
    delta: error probability of this one statement.
    population: N of the list the units were drawn from without replacement, one fixed loss each; None for i.i.d.
        draws.

    Returns 1 where n units are too few to say anything less.

    """
    ordered = _ordered(losses)
    rank = quantile_rank(len(ordered), share, delta, population)
    return 1.0 if rank is None else float(ordered[rank - 1])


def quantile_rank(n: int, share: float | Fraction, delta: float, population: int | None = None) -> int | None:
    """Return k such that the k-th smallest of n losses is the bound; None if even the largest is not enough."""
    if population is not None and not 0 <= n <= population:
        raise ValueError(f"{n} units cannot come from a list of {population}")
    return _rank(n, _share(share), checked(delta), population)


def quantile_band(losses: np.ndarray, shares: Sequence[float], delta: float) -> np.ndarray:
    """Return (len(shares),) bounds for i.i.d. draws that hold for all shares together, at 1 - ``delta``.

    The k-th smallest loss with k >= n (share + sqrt(ln(1/delta) / 2n)), 1 where there is none; for delta up to 1/2.
    """
    ordered = _ordered(losses)
    if not 0 < delta <= 0.5:
        raise ValueError(f"the one-sided band needs delta in (0, 1/2], got delta={delta}")
    n = len(ordered)
    margin = sqrt(-log(delta) / (2 * n)) if n else 1.0
    ranks = [ceil(n * (float(_share(share)) + margin)) for share in shares]
    return np.array([ordered[rank - 1] if 0 < rank <= n else 1.0 for rank in ranks])


def quantile_units_needed(share: float, delta: float, population: int | None = None) -> int | None:
    """Return the smallest n whose largest loss is the bound; None if the list is empty."""
    quantile, low, high = _share(share), 0, population or 1
    while population is None and _rank(high, quantile, checked(delta), None) is None:
        low, high = high, 2 * high
    if population == 0:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        found = _rank(middle, quantile, checked(delta), population)
        low, high = (middle, high) if found is None else (low, middle)
    return high


def _ordered(losses: np.ndarray) -> np.ndarray:
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 1:
        raise ValueError(f"losses of one sample have shape (n,), got {losses.shape}")
    filled = np.where(np.isnan(losses), 1.0, losses)
    outside = int(((filled < 0) | (filled > 1)).sum())
    if outside:
        raise ValueError(f"losses must be in [0, 1], {outside} of {len(losses)} are not")
    return np.sort(filled)


def _share(share: float | Fraction) -> Fraction:
    if not 0 < share < 1:
        raise ValueError(f"share must be in (0, 1), got share={share}")
    return exact(share)


@lru_cache(maxsize=1024)
def _rank(n: int, share: Fraction, delta: float, population: int | None) -> int | None:
    below = np.arange(n)  # k - 1, for every rank k
    if population is None:
        missed = stats.binom.sf(below, n, float(share))
    else:
        missed = stats.hypergeom.sf(below, population, ceil(share * population) - 1, n)
    enough = np.flatnonzero(missed <= delta)
    return int(enough[0]) + 1 if len(enough) else None
