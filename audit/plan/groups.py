"""Groups that units fall into, and how many of each are on the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.measurements.table import OPENED_BEFORE
from audit.plan.assemble import OPENED, Assembly

COLUMNS = {"forget": ("group", "list", "half"), "retain": ("group", "list")}


@dataclass(frozen=True, eq=False)
class Group:
    """Some units of a side.

    ``chosen`` (n,) bool marks them among those opened now, then those seen before; ``population`` is how many of them
    are on the list, None for draws of no list.
    """

    column: str
    label: str
    chosen: np.ndarray
    population: int | None

    @property
    def name(self) -> str:
        """Return ``half 1``, or the group's own name."""
        return self.label if self.column == "group" else f"{self.column} {self.label}"


def groups(assembly: Assembly, side: str) -> list[Group]:
    """Return the groups of every column that tells units of ``side`` apart."""
    return [group for column in COLUMNS[side] for group in of_column(assembly, side, column)]


def of_column(assembly: Assembly, side: str, column: str) -> list[Group]:
    """Return the groups of one column of the units table, in order of their labels.

    None if the column holds a single value, or if not everybody on the list is in the table (an import of some).
    """
    units = [*assembly.opened(side, OPENED), *assembly.seen(side)]
    everybody = [*assembly.opened(side, (*OPENED, "sealed")), *assembly.seen(side)]
    labels, whole = (_labels(assembly, names, column) for names in (units, everybody))
    known, size = sorted(set(whole.tolist())), assembly.population(side)
    if size not in (None, len(everybody)) or len(set(known) - {OPENED_BEFORE}) < 2:
        return []
    return [
        Group(
            column, label or "without", labels == label, None if size is None else int((whole == label).sum())
        )
        for label in known
    ]


def _labels(assembly: Assembly, units: Sequence[str], column: str) -> np.ndarray:
    return np.array([str(value) for value in assembly.facts(list(units), column)], dtype=object)
