"""What the rows of a clause add up to, counted once for everything that is said about them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import fsum

import numpy as np

from audit.risk.table import Clause


@dataclass(frozen=True, eq=False)
class Rows:
    """Sums over the units of ``clause``; R of its C rows are used, the others say nothing."""

    clause: Clause

    @cached_property
    def used(self) -> np.ndarray:
        """(R,) rows that carry losses."""
        return np.flatnonzero(self.clause.counts() & (self.clause.census or self.clause.units > 0))

    @cached_property
    def missing(self) -> np.ndarray:
        """(C,) units without a score."""
        return self.column(np.isnan(self.clause.losses).sum(axis=1)[self.used], 0, elsewhere=0)

    @cached_property
    def graded(self) -> np.ndarray:
        """(C,) bool: rows that show a loss between 0 and 1."""
        losses = self.clause.losses
        if self.clause.binary:
            return np.zeros(len(losses), dtype=bool)
        return np.any((losses > 0) & (losses < 1), axis=1)

    @cached_property
    def total(self) -> np.ndarray:
        """(C,) summed losses, counted where they are 0 or 1, else rounded once; a missing score as 1."""
        sums = (self.missing + (self.clause.losses == 1).sum(axis=1)).astype(np.float64)
        for row in self.used[self.graded[self.used]]:
            sums[row] = fsum(self.losses(row, 1.0).tolist())
        return self.column(sums[self.used], 0.0, elsewhere=0.0)

    @cached_property
    def least(self) -> np.ndarray:
        """(C,) the same with missing scores as 0."""
        return self.total - self.missing

    @cached_property
    def seen(self) -> np.ndarray:
        """(C,) summed losses of the units opened earlier, missing scores as 1."""
        return np.array([self.clause.seen_total(row) for row in range(len(self.clause.losses))])

    @cached_property
    def seen_least(self) -> np.ndarray:
        """(C,) the same with missing scores as 0."""
        return np.array([self.clause.seen_least(row) for row in range(len(self.clause.losses))])

    def losses(self, row: int, absent: float) -> np.ndarray:
        """Return the losses (n,) of one row with ``absent`` in place of missing scores."""
        return np.where(np.isnan(self.clause.losses[row]), absent, self.clause.losses[row])

    def column(self, values: np.ndarray, unmeasured: float, elsewhere: float = np.nan) -> np.ndarray:
        """Return (C,): ``values`` (R,) in the used rows; ``elsewhere`` where the clause does not apply."""
        column = np.full(len(self.clause.losses), unmeasured)
        column[~np.asarray(self.clause.applicable)] = elsewhere
        column[self.used] = values
        return column
