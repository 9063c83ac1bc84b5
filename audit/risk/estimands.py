"""What a rate is a rate of, and how many independent units the largest claim needs at least."""

from __future__ import annotations

import math
from typing import Literal

from audit.risk.bounds.base import checked, exact

Estimand = Literal["list", "probes", "subjects"]
"""``list``: the mean over a named finite list, of which some units were drawn. ``probes``: the chance that a fresh
batch of probes about a subject of the list leaks. ``subjects``: the mean over future subjects or requests.
"""


def least_units(alpha: float, delta: float) -> int:
    """Return the smallest n with (1 - alpha)^n <= delta: with fewer draws not even zero failures show alpha.

    29 at alpha = 0.1 and delta = 0.05, 59 at 0.05, 299 at 0.01; both are taken as the decimals they are written as.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got alpha={alpha}")
    keep, level = 1 - exact(alpha), exact(checked(delta))
    n = max(math.ceil(math.log(delta) / math.log1p(-alpha)) - 1, 1)  # rounding may be off by one
    while keep**n > level:
        n += 1
    return n
