"""C-RAG's released root finder at an empirical mean of 0.

Kang et al., arXiv:2402.03181; the code inverts kl(0, b) through 0 log 0, gets NaN and returns the start value
of the search: an upper bound of 0.02 whatever the number of units. The right one at 50 units is 0.045.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import build
from audit.risk.validation import batch
from audit.risk.validation.base import INVALID

RISK, UNITS = 0.025, 50
START = 0.02  # where the search starts, and where it ends


@INVALID.register("c_rag_root_finder_at_mean_0")
@dataclass(frozen=True)
class CRagRootFinderAtMean0:
    """Without a failure the bound is 0.02, whatever the number of units; else Hoeffding-Bentkus."""

    name: ClassVar[str]
    promised: ClassVar[float] = 0.1

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return replications in which the bound lies below the risk."""
        failures = random.binomial(UNITS, RISK, replications)
        table = batch.upper_by_count(build("hoeffding_bentkus", self.promised), UNITS, self.promised)
        return int((np.where(failures == 0, START, table[failures]) < RISK).sum())
