"""The three ways to quote a risk: simultaneous, as a rectangle with utility, and confirmed on other units.

A simultaneous CUR (delta / K) must cover for every configuration at once, since any may be quoted; a
rectangle needs delta / (2K); a confirmed CUR is that of the configuration with the smallest CUR, named before
its sealed units are opened. On a list what the first units showed enters the confirmed value as counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.risk.bounds.base import build
from audit.risk.validation import batch
from audit.risk.validation.base import PARTS
from audit.risk.validation.families import Family
from audit.risk.validation.laws import DEPENDENCE

SEALED = 29  # units opened to confirm
DELTA = 0.05
EQUAL = 1e-9


@dataclass(frozen=True)
class CurCell:
    """All named values on the same counts of 0/1 losses."""

    family: Family
    slow: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The family."""
        return self.family.label

    @property
    def promised(self) -> float:
        """Delta."""
        return DELTA

    @property
    def procedures(self) -> tuple[str, ...]:
        """The named values."""
        return ("simultaneous CUR", "risk-utility rectangle", "confirmed CUR")

    def violations(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (3,) replications in which some quoted value lies below the true risk."""
        family = self.family
        first, second = family.failures(random, replications, family.n, SEALED)  # (R, C, A + 1) each
        simultaneous = self._upper(first, DELTA / family.size)[..., :-1].max(axis=2)  # (R, C)
        sides = self._upper(first, DELTA / (2 * family.size))
        sides = np.stack([sides[..., :-1].max(axis=2), sides[..., -1]], axis=2)  # forget, utility
        risks = np.stack([family.risks[:, :-1].max(axis=1), family.risks[:, -1]], axis=1)  # (C, 2)
        chosen = simultaneous.argmin(axis=1)[:, None]
        confirmed = np.take_along_axis(self._confirmed(first, second), chosen, axis=1)[:, 0]
        return np.array(
            [
                (simultaneous < risks[:, 0] - EQUAL).any(axis=1).sum(),
                (sides < risks - EQUAL).any(axis=(1, 2)).sum(),
                (confirmed < risks[chosen[:, 0], 0] - EQUAL).sum(),
            ]
        )

    def _upper(self, failures: np.ndarray, delta: float) -> np.ndarray:
        bound = build(self.family.bound, delta)
        return batch.upper_by_count(bound, self.family.n, delta, self.family.population)[failures]

    def _confirmed(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (R, C): (seen + M+) / N on a list, the bound of the sealed units alone on draws."""
        family, bound = self.family, build(self.family.bound, DELTA)
        if family.population is None:
            found = batch.upper_by_count(bound, SEALED, DELTA, None)[second]
        else:
            left = family.population - family.n
            found = (
                first + left * batch.upper_by_count(bound, SEALED, DELTA, left)[second]
            ) / family.population
        return found[..., :-1].max(axis=2)


@PARTS.register("cur")
@dataclass(frozen=True)
class Curs:
    """Quoted risks of families."""

    name: ClassVar[str]

    def cells(self) -> Iterator[CurCell]:
        """Yield draws and lists under each dependence."""
        for dependence in DEPENDENCE:
            yield CurCell(Family(dependence=dependence, broken="one attack"))
            yield CurCell(Family(dependence=dependence, broken="every clause", attacks=1))
            yield CurCell(Family(dependence=dependence, nulls=5, broken="one attack"))
            yield CurCell(Family(dependence=dependence, n=90, population=120, broken="one attack"))
            yield CurCell(Family(dependence=dependence, n=137, population=190, broken="one attack"))
