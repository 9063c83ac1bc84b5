"""The order in which configurations were tested, with the tune risks it was learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.evidence.exhibit import Column, Exhibit, Value
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.plan.assemble import TUNE
from audit.risk.orders import risk_pairs

_COLUMNS = (
    Column("Place", "count"),
    Column("No.", "count"),
    Column("Configuration"),
    Column("Forget, tune", "share"),
    Column("Utility, tune", "share"),
    Column("p", "number"),
    Column("Certified"),
)
_SOURCES = {
    "tune": "learned on {forget} forget and {retain} retain tune subjects, which are outside the claim: the smallest"
    " first of max(worst-attack forgetting risk / {alpha_forget:g}, utility risk / {alpha_utility:g})",
    "plan": "the order of the plan",
}


@EXHIBITS.register("order")
@dataclass(frozen=True)
class Order:
    """Lists configurations as they were tested."""

    name: ClassVar[str]
    place: ClassVar[int] = 20

    def make(self, case: Case) -> Exhibit | None:
        """Return the order; None for a family that needs none."""
        rows = case.tables.table.order
        if rows is None:
            return None
        risks = self._risks(case)
        return Exhibit(
            name=self.name,
            title="Order of testing",
            claim=(
                f"Configurations are listed by {case.settings.family} along this order, made without a look at anybody"
                f" who counts: {self._source(case)}."
            ),
            columns=_COLUMNS,
            rows=tuple(self._row(case, place, row, risks) for place, row in enumerate(rows, start=1)),
            notes=(
                "Tune risks are means without a bound, for the order alone. A good order certifies more than Holm, a"
                " bad one less; neither can make the list wrong more often than stated.",
            ),
        )

    def _source(self, case: Case) -> str:
        counts = {side: len(case.assembly.opened(side, TUNE)) for side in ("forget", "retain")}
        budgets = {
            "alpha_forget": case.settings.alpha_forget,
            "alpha_utility": case.settings.alpha_utility,
        }
        return _SOURCES[case.settings.order or "plan"].format(**counts, **budgets)

    def _risks(self, case: Case) -> np.ndarray | None:
        """(C, 2) tune risks; None where the order came from the plan."""
        if case.settings.order != "tune":
            return None
        return risk_pairs(case.assembly.deciding(case.assembly.candidates, TUNE).table)

    def _row(self, case: Case, place: int, row: int, risks: np.ndarray | None) -> tuple[Value, ...]:
        result = case.results[row]
        tuned = (None, None) if risks is None else tuple(map(float, risks[row]))
        listed = "yes" if case.model.valid_[row] else "no"
        return (place, row + 1, result.label, *tuned, result.p_value, listed)
