"""What a bound promises, and the sample it sees.

A bound is one theorem about the mean of losses in [0, 1]. Its test and its upper bound are one object seen
from two sides: ``p_value(sample, alpha) <= delta`` exactly when ``upper(sample, delta) <= alpha``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import fsum
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from audit.core.registry import Registry

Design = Literal["draws", "list", "random list"]
"""How losses came about: i.i.d. draws; a random sample without replacement from a finite list with one fixed
loss per unit; the same with losses that would come out differently on repetition (independent given the
units).
"""


@dataclass(frozen=True, eq=False)
class Sample:
    """Losses of one configuration under one attack, without a gap.

    Missing scores are filled before (1 for upper bounds and tests, 0 for lower bounds), so a bound never has
    to decide what absence means.

    Attributes
    ----------
    losses: (n,) float64 in [0, 1], in the audit's recorded random order.
    population: N of the list the n units were drawn from without replacement; None for i.i.d. draws.
    planned: n as it was planned, which bets may depend on; default the number of losses.

    """

    losses: np.ndarray
    population: int | None = None
    planned: int | None = None

    def __post_init__(self) -> None:
        losses = np.asarray(self.losses, dtype=np.float64)
        object.__setattr__(self, "losses", losses)
        if losses.ndim != 1:
            raise ValueError(f"losses of one sample have shape (n,), got {losses.shape}")
        outside = int((~((losses >= 0) & (losses <= 1))).sum())  # NaN is outside too
        if outside:
            raise ValueError(f"losses must be in [0, 1] without NaN, {outside} of {len(losses)} are not")
        if self.population is not None and self.population < len(losses):
            raise ValueError(f"{len(losses)} units cannot come from a list of {self.population}")
        if self.planned is not None and self.planned < 1:
            raise ValueError(f"planned n must be positive, got {self.planned}")

    def __len__(self) -> int:
        return len(self.losses)

    @property
    def horizon(self) -> int:
        """The n that bets are sized for; at least 1."""
        return self.planned or max(len(self), 1)

    @cached_property
    def total(self) -> float:
        """Sum of the losses, rounded once."""
        return fsum(self.losses.tolist())

    @cached_property
    def failures(self) -> int:
        """Number of losses equal to 1, counted as integers; refuses graded losses.

        ``ceil(n * mean)`` in floating point miscounts (14 of 200 becomes 15).
        """
        failed, graded = int((self.losses == 1).sum()), int(((self.losses > 0) & (self.losses < 1)).sum())
        if graded:
            raise ValueError(f"this bound needs 0/1 losses, {graded} are graded")
        return failed

    def mirrored(self) -> Sample:
        """Return the sample of 1 - loss: its upper bound is one minus a lower bound here."""
        return dataclasses.replace(self, losses=1 - self.losses)


@runtime_checkable
class Bound(Protocol):
    """One theorem, valid for every sample of a design in ``designs`` with ``planned`` units.

    ``binary``: holds for 0/1 losses only. ``monotone``: ``upper`` never falls when a loss rises.
    ``order_free``: the order of the losses does not matter. ``source``: the theorem.
    ``assumes``: one sentence on what must be true of the losses for it to hold.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    assumes: ClassVar[str]
    designs: ClassVar[frozenset[Design]]
    binary: ClassVar[bool]
    monotone: ClassVar[bool]
    order_free: ClassVar[bool]

    def upper(self, sample: Sample, delta: float) -> float:
        """Return U in [0, 1] with P(U < risk) <= delta; 1 without units."""
        ...

    def lower(self, sample: Sample, delta: float) -> float:
        """Return L in [0, 1] with P(L > risk) <= delta; 0 without units."""
        ...

    def p_value(self, sample: Sample, alpha: float | Fraction) -> float:
        """Return p with P(p <= t) <= t for all t whenever risk > alpha; 1 without units."""
        ...


BOUNDS: Registry[Bound] = Registry("bound", "audit.risk.bounds")


def build(name: str, level: float) -> Bound:
    """Return the bound called ``name``, sized for decisions at ``level`` if it bets."""
    cls: Any = BOUNDS[name]
    fields = {field.name for field in dataclasses.fields(cls)}
    return cls(level=level) if "level" in fields else cls()


def exact(alpha: float | Fraction) -> Fraction:
    """Return the decimal that ``alpha`` was written as: 0.3 is 3/10, not the nearest double below it."""
    return alpha if isinstance(alpha, Fraction) else Fraction(repr(float(alpha)))


def checked(delta: float) -> float:
    """Return ``delta`` if it is an error probability, in (0, 1)."""
    if not 0 < delta < 1:
        raise ValueError(f"delta must be in (0, 1), got delta={delta}")
    return delta
