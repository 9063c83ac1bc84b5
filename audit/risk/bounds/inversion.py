"""The smallest tested mean against which there is enough evidence: how a betting bound is inverted.

Brent's method (Algorithms for Minimization without Derivatives, 1973, chapter 4) finds it in about a dozen
evaluations. Its root is a guess only: the answer is the grid point next to it at which the evidence was seen
to suffice, while one step of 2**-42 lower it was seen not to, so rounding errs to the safe side.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from audit.core.lazy import lazy

optimize = lazy("scipy.optimize")

_CELLS = 2**42


def crossing(evidence: Callable[[float], float], target: float) -> float:
    """Return the smallest m on the grid in [0, 1] with ``evidence(m)`` >= ``target`` > 0; 1 if nowhere.

    ``evidence`` is increasing, and may be infinite.
    """

    def gap(mean: float) -> float:
        return min(evidence(mean), 2 * target) - target  # an infinite gap would mislead the secant

    if gap(0.0) >= 0:
        return 0.0
    if gap(1.0) < 0:
        return 1.0
    cell = min(max(ceil(optimize.brentq(gap, 0.0, 1.0, xtol=0.25 / _CELLS) * _CELLS), 1), _CELLS)
    while cell < _CELLS and gap(cell / _CELLS) < 0:
        cell += 1
    while gap((cell - 1) / _CELLS) >= 0:
        cell -= 1
    return cell / _CELLS
