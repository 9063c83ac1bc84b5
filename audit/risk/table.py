"""The loss table: everything the risk engine is told about an audit, and nothing else.

A clause is one promise ("at most alpha of the forget list is recovered under int4"), a row a configuration, a
column a unit. What is known about the design (finite list or draws, fixed or random, 0/1 or graded) is
declared here before the losses are looked at, because a theorem chosen after seeing the data is not a
theorem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from audit.risk.bounds.base import Design


@dataclass(frozen=True, eq=False)
class Clause:
    """Losses of all configurations under one attack and dose, or their utility.

    Attributes
    ----------
    name: unique in the table.
    side: ``forget`` clauses make up the CUR; ``utility`` clauses are tested beside them.
    losses: (C, n) float64 in [0, 1], NaN where a unit has no score; columns in the audit's recorded order.
    population: N of the finite list, units already seen included; None for i.i.d. draws.
    seen_units: units of the list opened in earlier audits; they are not among the n columns.
    seen_totals: (C,) their summed losses, counted exactly, a missing score as 1.
    seen_missing: (C,) how many of them have no score, and count as 0 in lower bounds. Default none.
    measured: (C,) bool; False is planned but not measured: p = 1, upper = 1. Default all True.
    looked: (C,) int; of a row that was given up at a look, how many of its first units were scored until then: they
        give an anytime lower bound and nothing else. 0 for every row that is measured. Default all 0.
    applicable: (C,) bool; False says nothing about this configuration and is skipped. Default all True.
    fixed: False if losses would come out differently on repetition (unseeded sampling, a judge).
    binary: True if the loss can only be 0 or 1 by definition, False if graded. None means not declared and is
        treated as graded: valid for every loss, weaker for 0/1. It is never inferred from the values, since
        a graded loss may happen to show only 0 and 1 in the sample.

    """

    name: str
    side: Literal["forget", "utility"]
    losses: np.ndarray
    population: int | None
    seen_units: int = 0
    seen_totals: np.ndarray | None = None
    measured: np.ndarray | None = None
    applicable: np.ndarray | None = None
    fixed: bool = True
    binary: bool | None = None
    seen_missing: np.ndarray | None = None
    looked: np.ndarray | None = None

    def __post_init__(self) -> None:
        losses = np.asarray(self.losses, dtype=np.float64)
        object.__setattr__(self, "losses", losses)
        if self.side not in ("forget", "utility"):
            raise ValueError(f"{self.name}: side must be forget or utility, got {self.side!r}")
        if losses.ndim != 2:
            raise ValueError(f"{self.name}: losses have shape (configurations, units), got {losses.shape}")
        for field in ("measured", "applicable"):
            object.__setattr__(self, field, self._flags(field))
        self._check_values()
        self._check_seen()
        self._check_looked()

    @property
    def units(self) -> int:
        """Units opened in this audit (n), with or without a score."""
        return self.losses.shape[1]

    @property
    def design(self) -> Design:
        """How the losses came about."""
        if self.population is None:
            return "draws"
        return "list" if self.fixed else "random list"

    @property
    def census(self) -> bool:
        """Whether every unit of the list was opened, with losses that would not change on repetition."""
        return self.design == "list" and self.population == self.units + self.seen_units > 0

    def counts(self) -> np.ndarray:
        """Return (C,) bool: rows that carry losses, measured and applicable."""
        return self._flags("measured") & self._flags("applicable")

    def seen_total(self, row: int) -> float:
        """Return the summed losses of the units seen before, of one configuration; missing scores as 1."""
        return 0.0 if self.seen_totals is None else float(self.seen_totals[row])

    def seen_least(self, row: int) -> float:
        """Return the same with missing scores as 0."""
        return self.seen_total(row) - (0.0 if self.seen_missing is None else float(self.seen_missing[row]))

    def _flags(self, field: str) -> np.ndarray:
        value = getattr(self, field)
        flags = np.ones(len(self.losses), dtype=bool) if value is None else np.asarray(value)
        if flags.shape != (len(self.losses),) or flags.dtype != bool:
            raise ValueError(
                f"{self.name}: {field} must be ({len(self.losses)},) bool, got {flags.shape} {flags.dtype}"
            )
        return flags

    def _check_values(self) -> None:
        outside = (self.losses < 0) | (self.losses > 1)  # False where a score is missing
        carrying = self.counts() if self.looked is None else self.counts() | (np.asarray(self.looked) > 0)
        if bool(outside[carrying].any()):
            values = self.losses[carrying]
            raise ValueError(
                f"{self.name}: losses must be in [0, 1], got [{np.nanmin(values):.3g}, {np.nanmax(values):.3g}]"
            )
        if self.binary:
            graded = int(((self.losses > 0) & (self.losses < 1))[self.counts()].sum())
            if graded:
                raise ValueError(f"{self.name}: declared 0/1, but {graded} losses are graded")

    def _check_looked(self) -> None:
        if self.looked is None:
            return
        looked = np.asarray(self.looked)
        if looked.shape != (len(self.losses),) or not bool(((looked >= 0) & (looked <= self.units)).all()):
            raise ValueError(
                f"{self.name}: looked must be (C,) in [0, {self.units}], got shape {looked.shape}"
            )
        if bool((looked[np.asarray(self.measured)] > 0).any()):
            raise ValueError(f"{self.name}: a row is measured or was given up, got both")
        if self.design == "random list" and bool(looked.any()):
            raise ValueError(
                f"{self.name}: random losses of a finite list allow no look before the last unit"
            )

    def _check_seen(self) -> None:
        if self.seen_units < 0 or (self.seen_units > 0) != (self.seen_totals is not None):
            raise ValueError(
                f"{self.name}: {self.seen_units} units seen before need their totals, and only they"
            )
        if self.population is None and self.seen_units:
            raise ValueError(f"{self.name}: units seen before belong to a finite list, got population=None")
        if self.population is not None and self.population < self.units + self.seen_units:
            raise ValueError(
                f"{self.name}: {self.units} + {self.seen_units} units exceed the list of {self.population}"
            )
        if self.seen_totals is None:
            return
        if not self.fixed:
            raise ValueError(
                f"{self.name}: random losses cannot be counted exactly, got seen_units={self.seen_units}"
            )
        if self.seen_missing is not None and not bool(
            (np.asarray(self.seen_missing) <= self.seen_totals).all()
        ):
            raise ValueError(
                f"{self.name}: missing scores count as 1, so seen_missing cannot exceed seen_totals"
            )
        totals = np.asarray(self.seen_totals, dtype=np.float64)
        object.__setattr__(self, "seen_totals", totals)
        used = totals[self.counts()] if totals.shape == (len(self.losses),) else np.array([np.nan])
        if not bool(((used >= 0) & (used <= self.seen_units)).all()):
            raise ValueError(
                f"{self.name}: seen totals must be (C,) in [0, {self.seen_units}], got shape {totals.shape}"
            )
        if self.binary and not bool((used == np.round(used)).all()):
            raise ValueError(f"{self.name}: totals of 0/1 losses must be whole numbers")


@dataclass(frozen=True, eq=False)
class LossTable:
    """All clauses of one audit.

    Attributes
    ----------
    configurations: (C,) names, the rows of every clause.
    clauses: one per (attack, dose) and primary loss, and per utility loss.
    family_size: K >= C, every configuration locked, dropped and crashed ones included.
    order: the rows, first tested first, for procedures that need an order; from tune units or the plan, never
        from the losses in this table. None: there is no order.

    """

    configurations: tuple[str, ...]
    clauses: tuple[Clause, ...]
    family_size: int
    order: tuple[int, ...] | None = None
    looks: bool = False

    def __post_init__(self) -> None:
        rows = len(self.configurations)
        if self.order is not None and sorted(self.order) != list(range(rows)):
            raise ValueError(f"order must be a permutation of the {rows} rows, got {self.order}")
        if len(set(self.configurations)) != rows:
            raise ValueError(
                f"configurations must be unique, got {rows} with {len(set(self.configurations))} names"
            )
        if len({clause.name for clause in self.clauses}) != len(self.clauses):
            raise ValueError(f"clause names must be unique, got {[clause.name for clause in self.clauses]}")
        for clause in self.clauses:
            if len(clause.losses) != rows:
                raise ValueError(f"{clause.name}: {len(clause.losses)} rows for {rows} configurations")
        if self.family_size < max(rows, 1):
            raise ValueError(
                f"family_size counts every configuration ever locked: {self.family_size} < {rows}"
            )
