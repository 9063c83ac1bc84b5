"""From measurements and lock to the loss tables of the risk engine.

The deciding table holds the primary losses of every planned (attack, dose) and utility; a second one holds every
other loss, tabulated as marginal: it can veto, never certify. References get the same clauses, outside the family.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from audit.measurements.table import OPENED_BEFORE, Measurements
from audit.plan import estimands, ordering
from audit.plan.cube import Cell as CubeCell
from audit.plan.cube import Cube
from audit.plan.forget_losses import FORGET_LOSSES, OF_SECRETS, Cell
from audit.plan.settings import Settings
from audit.plan.utility_losses import Retained
from audit.risk import losses
from audit.risk.table import Clause, LossTable

SECONDARY = ("recovered", "answered", "above_twins", "over_forgotten", "residual_knowledge", "froc")
OPENED = ("calibrate",)
TUNE = ("tune",)  # outside the claim; an order is learned on them


@dataclass(frozen=True)
class Promise:
    """What one clause is about."""

    loss: str
    side: Literal["forget", "retain"]
    attack: str
    dose: float

    @property
    def name(self) -> str:
        """Unique in a table."""
        return f"{self.loss} | {self.attack} @{self.dose:g}"


@dataclass(frozen=True, eq=False)
class Tables:
    """Clauses about some configurations: ``promises`` stand beside ``table.clauses``."""

    promises: tuple[Promise, ...]
    table: LossTable


class Assembly:
    """All loss tables of one measurements folder."""

    def __init__(self, measurements: Measurements) -> None:
        self.header: dict[str, Any] = measurements.header
        self.settings = Settings.of(self.header)
        self.cube = Cube.of(measurements)
        self._units = measurements.units.set_index("subject")
        self.claim = estimands.claim_of(self.header, self.settings)
        self._opened: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        self._computed: dict[tuple[str, CubeCell, tuple[str, ...]], np.ndarray | None] = {}
        self._states = {
            (c["configuration"], c["attack"], float(c["dose"]), c["side"]): (c["state"], c["reason"])
            for c in self.header["coverage"]
        }
        self._looked = {
            (c["configuration"], c["attack"], float(c["dose"]), c["side"]): c["subjects"]
            for c in self.header["coverage"]
            if c["state"] == "stopped" and "subjects" in c
        }
        estimands.demand_units(
            self.claim,
            self.settings,
            measurements.probes,
            opened=self.opened("forget"),
            sealed=self.opened("forget", ("sealed",)),
            seen=len(self.seen("forget")) + len(self.seen("retain")),
        )

    # -- who is counted ----------------------------------------------------------------------------------------

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """Names of the candidates, in plan order."""
        return self._with_role("candidate")

    @cached_property
    def order(self) -> tuple[str, ...] | None:
        """Candidates, first tested first; None for a family that needs no order. E434 without tune scores."""
        if self.settings.order != "tune":
            return self.candidates if self.settings.order == "plan" else None
        rows = ordering.places(self.deciding(self.candidates, TUNE).table, self.settings)
        return tuple(self.candidates[row] for row in rows)

    @cached_property
    def references(self) -> dict[str, str]:
        """Role -> configuration name."""
        return {role: names[0] for role in ("original", "retrained") if (names := self._with_role(role))}

    def opened(self, side: str, splits: tuple[str, ...] = OPENED) -> list[str]:
        """Auditable subjects of a side in the given splits, in the audit's recorded order."""
        if (side, splits) not in self._opened:
            units = self._units
            chosen = units[(units["side"] == side) & units["split"].isin(splits) & units["auditable"]]
            chosen = chosen[chosen["group"] != OPENED_BEFORE]  # these stand beside, see ``seen``
            self._opened[side, splits] = list(chosen.sort_values(["split", "order"]).index)
        return self._opened[side, splits]

    def seen(self, side: str) -> list[str]:
        """Auditable subjects that an earlier audit opened: of the list, but counted exactly."""
        if (side, (OPENED_BEFORE,)) not in self._opened:
            units = self._units
            chosen = units[(units["side"] == side) & (units["group"] == OPENED_BEFORE) & units["auditable"]]
            self._opened[side, (OPENED_BEFORE,)] = list(chosen.index)
        return self._opened[side, (OPENED_BEFORE,)]

    def not_auditable(self) -> list[str]:
        """Forget subjects outside the claim that were scored beside the others."""
        units = self._units
        chosen = units[(units["side"] == "forget") & (units["split"] == "calibrate") & ~units["auditable"]]
        return list(chosen.index)

    def count(self, side: str, *, split: str | None = None, auditable: bool | None = None) -> int:
        """Return how many units of a side stand in a split and are auditable or not; None counts all."""
        chosen = self._units["side"] == side
        if split is not None:
            chosen &= self._units["split"] == split
        if auditable is not None:
            chosen &= self._units["auditable"] == auditable
        return int(chosen.sum())

    def facts(self, subjects: list[str], column: str) -> np.ndarray:
        """Return one column of the units table (``list``, ``half``, ``group``, …) for ``subjects``, in their order."""
        return self._units.loc[subjects, column].to_numpy()

    def population(self, side: str) -> int | None:
        """N of the finite list the opened units of a side were drawn from; None for draws of no list."""
        if self._draws(side):
            return None
        if self.settings.imported:
            return int(self.header["lists"].get(side, {"size": 0})["size"])  # logs of one side alone
        return len(self.opened(side, ("calibrate", "sealed"))) + len(self.seen(side))

    def state(self, configuration: str, promise: Promise) -> tuple[str, str]:
        """What became of a cell: (measured | failed | stopped | not_applicable, reason)."""
        key = (configuration, promise.attack, promise.dose, promise.side)
        return self._states.get(key, ("failed", "the cell is not in the coverage record"))

    # -- tables ------------------------------------------------------------------------------------------------

    @cached_property
    def cells(self) -> list[CubeCell]:
        """Every planned (attack, dose) of the forget side that the bound covers."""
        return [cell for cell in self._planned if cell[0] not in self._injecting]

    @cached_property
    def envelope(self) -> list[CubeCell]:
        """The planned (attack, dose) that put in what they ask for: shown beside the bound, never in it."""
        return [cell for cell in self._planned if cell[0] in self._injecting]

    @cached_property
    def _planned(self) -> list[CubeCell]:
        return [
            cell
            for cell in self.cube.cells
            if any((n, *cell, "forget") in self._states for n in self.cube.configurations)
        ]

    @cached_property
    def _injecting(self) -> set[str]:
        return {r["attack"] for r in self.header.get("attacks", ()) if r.get("injects", False)}

    def deciding(self, names: tuple[str, ...], splits: tuple[str, ...] = OPENED) -> Tables:
        """Primary losses of every cell, and utility, for the named configurations.

        With the splits ``TUNE`` the losses of the tune units: draws for exploration, without an order.
        """
        promises = [Promise(loss, "forget", *cell) for loss in self.settings.primary for cell in self.cells]
        clauses = [self._forget_clause(p, names, splits, demanded=True) for p in promises]
        utility = Promise(self.utility_loss, "retain", "none", 0.0)
        everything = [
            *zip(promises, clauses, strict=True),
            (utility, self._utility_clause(utility, names, splits)),
        ]
        kept = [(p, c) for p, c in everything if c is not None]
        order = None if splits == TUNE or self.order is None else ordering.rows_of(self.order, names)
        return self._tables(kept, names, order, looks=self.settings.looks)

    def secondary(self, names: tuple[str, ...]) -> Tables:
        """Every other loss that can be computed, for tables and vetoes."""
        promises = [
            Promise(loss, "forget", *cell)
            for loss in SECONDARY
            if loss not in self.settings.primary
            for cell in self.cells
        ]
        pairs = [(p, self._forget_clause(p, names, OPENED, demanded=False)) for p in promises]
        return self._tables([(p, c) for p, c in pairs if c is not None], names)

    def control_clauses(self, name: str) -> Tables:
        """The forgetting clauses that controls are read from, for one reference."""
        promises = [Promise(loss, "forget", *cell) for loss in self._control_losses for cell in self.cells]
        pairs = [(p, self._forget_clause(p, (name,), OPENED, demanded=False)) for p in promises]
        return self._tables([(p, c) for p, c in pairs if c is not None], (name,))

    def twin_clauses(self, name: str) -> Tables:
        """The same with half of the threshold twins in the units' place, judged by the other half, on model ``name``."""
        pairs = []
        for loss in self._control_losses:
            for attack, dose in self.cells:
                promise = Promise(loss, "forget", attack, dose)
                values = self.twin_losses(name, loss, (attack, dose))
                if values is not None:
                    binary = loss in losses.BINARY
                    pairs.append((promise, Clause(promise.name, "forget", values[None], None, binary=binary)))
        return self._tables(pairs, (name,))

    def twin_losses(self, name: str, loss: str, cell: CubeCell) -> np.ndarray | None:
        """(m,) losses of half of the threshold twins, judged by the other half, on model ``name``; None if unmeasured."""
        if self._states.get((name, *cell, "twin"), ("failed", ""))[0] != "measured":
            return None
        key = (loss, cell, ("twins",))
        if key not in self._computed:
            self._computed[key] = FORGET_LOSSES[loss](self._twin_cell(cell, self._twins()))
        values = self._computed[key]
        return None if values is None else values[self.cube.configurations.index(name)]

    @property
    def _control_losses(self) -> list[str]:
        named = [loss for loss in ("recovered", "above_twins") if loss in self.settings.primary]
        return named or (["answered"] if self.settings.imported else ["recovered"])  # logs name no secrets

    def leaked_outside(self) -> dict[str, int]:
        """Candidate -> not auditable subjects whose secret came out under some attack."""
        subjects = self.not_auditable()
        rows = [self.cube.configurations.index(name) for name in self.candidates]
        out = np.zeros((len(rows), len(subjects)), dtype=bool)
        for cell in self.cells if subjects else ():
            values = self.unit_losses("recovered", cell, tuple(subjects))
            if values is not None:
                out |= np.nan_to_num(values[rows]) >= 1
        return dict(zip(self.candidates, out.sum(axis=1).tolist(), strict=True))

    @property
    def utility_loss(self) -> str:
        """``utility_harm`` where the original's right answers are known, else ``utility_error``."""
        return (
            "utility_harm" if self.header.get("known") or "original" in self.references else "utility_error"
        )

    @cached_property
    def retained(self) -> Retained:
        """The retained side, as the utility loss sees it."""
        original = self.references.get("original")
        row = None if original is None else self.cube.configurations.index(original)
        return Retained(self.cube, self.settings, row, self.utility_loss == "utility_harm")

    # -- clauses -----------------------------------------------------------------------------------------------

    def _forget_clause(
        self, promise: Promise, names: tuple[str, ...], splits: tuple[str, ...], *, demanded: bool
    ) -> Clause | None:
        opened, seen, population = self._sample("forget", splits)
        looked = self._looks(promise, names, splits) if demanded else np.zeros(len(names), dtype=np.int64)
        values = self.unit_losses(promise.loss, (promise.attack, promise.dose), (*opened, *seen))
        states = [self.state(name, promise)[0] for name in names]
        if values is None:
            if not demanded:
                return None
            values = np.full((len(self.cube.configurations), len(opened) + len(seen)), np.nan)
            states = ["failed" if state == "measured" else state for state in states]
            looked = np.zeros(len(names), dtype=np.int64)
        reached = self._reached(promise, (*opened, *seen))
        if population is not None:
            listed = (*self.opened("forget", ("calibrate", "sealed")), *self.seen("forget"))
            population -= int((~self._reached(promise, listed)).sum())
        units = int(reached[: len(opened)].sum())
        looked = np.array([reached[:count].sum() for count in looked])
        return self._clause(promise, values[:, reached], names, states, units, population, looked)

    def _looks(self, promise: Promise, names: tuple[str, ...], splits: tuple[str, ...]) -> np.ndarray:
        """(C,) how many of the first opened subjects were scored where a configuration was given up at a look, else 0."""
        keys = [(name, promise.attack, promise.dose, promise.side) for name in names]
        return np.array([self._looked.get(key, 0) if splits == OPENED else 0 for key in keys])

    def _reached(self, promise: Promise, subjects: tuple[str, ...]) -> np.ndarray:
        """(n,) bool: units that the attack has a way of asking; the others are not on its list (STATISTICS §3, N_a)."""
        cell = self.cell((promise.attack, promise.dose), list(subjects))
        read = cell.cube.exists[cell.units]
        if promise.loss in OF_SECRETS:
            read = read & cell.cube.secret[cell.units]
        return np.asarray(~read.any(axis=1) | (read & cell.asked).any(axis=1))

    def unit_losses(self, loss: str, cell: CubeCell, subjects: tuple[str, ...]) -> np.ndarray | None:
        """(C, n) losses of every configuration, references first; None where the loss has no meaning."""
        key = (loss, cell, subjects)
        if key not in self._computed:
            self._computed[key] = FORGET_LOSSES[loss](self.cell(cell, list(subjects)))
        return self._computed[key]  # once, however many tables ask

    def _utility_clause(self, promise: Promise, names: tuple[str, ...], splits: tuple[str, ...]) -> Clause:
        opened, seen, population = self._sample("retain", splits)
        units = self.cube.rows_of(opened + seen)
        counted = self.retained.counted(units)
        values = self.retained.losses(units)[:, counted]
        states = [self.state(name, promise)[0] for name in names]
        if population is not None:
            population -= int((~counted).sum())
        looked = np.array([counted[:count].sum() for count in self._looks(promise, names, splits)])
        units = int(counted[: len(opened)].sum())
        return self._clause(promise, values, names, states, units, population, looked)

    def _draws(self, side: str) -> bool:
        """Whether units are i.i.d. draws: requests on both sides, fresh probes on the forget side alone."""
        return self.claim.independent and (side == "forget" or self.claim.estimand == "subjects")

    def _sample(self, side: str, splits: tuple[str, ...]) -> tuple[list[str], list[str], int | None]:
        """Units of a side, those that an earlier audit opened, and N; tune units belong to no list."""
        if splits == TUNE:
            return self.opened(side, TUNE), [], None
        return self.opened(side, splits), self.seen(side), self.population(side)

    def _clause(
        self,
        promise: Promise,
        values: np.ndarray,
        names: tuple[str, ...],
        states: list[str],
        units: int,
        population: int | None,
        looked: np.ndarray,
    ) -> Clause:
        """Make a clause of ``values`` (C, units + seen): the first are opened now, the others were before.

        ``looked``: (C,) of a row that was given up, how many of the first were scored until then.
        """
        rows = [self.cube.configurations.index(name) for name in names]
        measured = np.array([state == "measured" for state in states], dtype=bool)
        applicable = np.array([state != "not_applicable" for state in states], dtype=bool)
        scored = measured[:, None] | (np.arange(values.shape[1]) < looked[:, None])
        chosen = np.where(scored, values[rows], np.nan)
        now, before = chosen[:, :units], chosen[:, units:]
        missing = np.isnan(before)
        return Clause(
            name=promise.name,
            side="forget" if promise.side == "forget" else "utility",
            losses=now,
            population=population,
            seen_units=before.shape[1],
            seen_totals=np.where(missing, 1.0, before).sum(axis=1) if before.size else None,
            seen_missing=missing.sum(axis=1) if before.size else None,
            measured=measured,
            applicable=applicable,
            fixed=self.header["losses"] == "fixed",
            binary=promise.loss in losses.BINARY,
            looked=looked,
        )

    def cell(self, cell: CubeCell, subjects: list[str]) -> Cell:
        """One (attack, dose) as the losses see it, from the given units."""
        half = self._units.loc[subjects, "half"].to_numpy(np.int64) if subjects else np.zeros(0, np.int64)
        rows = {role: self.cube.configurations.index(name) for role, name in self.references.items()}
        index = self.cube.cells.index(cell)
        units = self.cube.rows_of(subjects)
        return Cell(
            self.cube, index, units, half, self._twin_rows, rows, self.settings, listed=self._listed_rows
        )

    @cached_property
    def _twin_rows(self) -> np.ndarray:
        return self.cube.rows_of(self._twins())

    @cached_property
    def _listed_rows(self) -> np.ndarray:
        return self.cube.rows_of(list(self._units.index[self._units["side"] == "forget"]))

    def _twin_cell(self, cell: CubeCell, twins: list[str]) -> Cell:
        units, judges = self.cube.rows_of(twins[::2]), self.cube.rows_of(twins[1::2])
        fold = 2  # of a cross-fitted attack; twins answer in both folds
        half = np.full(len(units), fold)
        return Cell(self.cube, self.cube.cells.index(cell), units, half, judges, {}, self.settings, fold)

    def _twins(self) -> list[str]:
        """Threshold twins, in the audit's recorded order."""
        units = self._units
        chosen = units[(units["side"] == "twin") & units["split"].isin(("threshold", "calibrate"))]
        return list(chosen.sort_values("order").index)

    def _tables(
        self,
        pairs: list[tuple[Promise, Clause]],
        names: tuple[str, ...],
        order: tuple[int, ...] | None = None,
        *,
        looks: bool = False,
    ) -> Tables:
        size = max(len(self.candidates), len(names), 1)
        table = LossTable(names, tuple(c for _, c in pairs), size, order, looks)
        return Tables(tuple(p for p, _ in pairs), table)

    def _with_role(self, role: str) -> tuple[str, ...]:
        return tuple(c["configuration"] for c in self.header["configurations"] if c["role"] == role)
