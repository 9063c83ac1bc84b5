"""The worst-off subjects: how little nearly everybody leaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.evidence import looks
from audit.evidence.exhibit import Column, Exhibit, Value
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.evidence.wording import LOSSES
from audit.plan import attackers
from audit.plan.assemble import OPENED
from audit.risk import losses
from audit.risk.quantiles import quantile_upper
from audit.risk.subjects import quantile_of_list

SHARES = (0.5, 0.9, 0.95)


@EXHIBITS.register("quantiles")
@dataclass(frozen=True)
class Quantiles:
    """Bounds on the share of questions and attacks to which 50, 90 and 95 % of the subjects yield at most."""

    name: ClassVar[str]
    place: ClassVar[int] = 41

    def make(self, case: Case) -> Exhibit | None:
        """Return one row per configuration and 0/1 primary loss; None without one, or for random losses of a list."""
        counted = [loss for loss in case.settings.primary if loss in losses.BINARY]
        listed, fixed = (
            case.assembly.population("forget") is not None,
            case.assembly.header["losses"] == "fixed",
        )
        if not counted or (listed and not fixed):
            return None
        subjects = (*case.assembly.opened("forget", OPENED), *case.assembly.seen("forget"))
        names, shown = looks.names(case), len(SHARES) * len(counted)
        found = {loss: attackers.tallies(case.assembly, loss, names, subjects) for loss in counted}
        rows = tuple(
            _row(case, row, loss, found[loss][row].share, shown, several=len(counted) > 1)
            for row in range(len(names))
            for loss in counted
        )
        census = len(subjects) == case.assembly.population("forget")
        return Exhibit(
            name=self.name,
            title="The worst-off subjects",
            claim=(
                "A mean can be small while a few subjects leak everything. A subject’s leak is the share of its pairs of"
                " question and attack that yielded the answer, at any dose. Read: at least 95 % of the subjects leak at"
                f" most this share. {_together(case, shown, census=census)}"
            ),
            columns=tuple(_columns(several=len(counted) > 1)),
            rows=rows,
            notes=(
                "100 % means that nothing less can be said with this number of subjects, or that they leak everything.",
            ),
        )


def _columns(*, several: bool) -> Iterator[Column]:
    yield from looks.CONFIGURATION
    if several:
        yield Column("Loss")
    yield Column("Subjects without a leak")
    for share in SHARES:
        yield Column(f"{looks.percent(share)} leak at most", "upper")
    yield Column("Worst subject seen", "share")


def _row(
    case: Case, row: int, loss: str, leaks: np.ndarray, shown: int, *, several: bool
) -> tuple[Value, ...]:
    opened = len(case.assembly.opened("forget", OPENED))
    level = case.delta / (case.tables.table.family_size * shown)
    size = case.assembly.population("forget")
    bounds = [
        quantile_upper(leaks, share, level)
        if size is None
        else quantile_of_list(leaks[:opened], leaks[opened:], share, level, size)
        for share in SHARES
    ]
    return (
        *looks.configuration(case, row),
        *((LOSSES[loss],) if several else ()),
        f"{int((leaks == 0).sum())} of {len(leaks)}",
        *bounds,
        float(leaks.max()) if len(leaks) else None,
    )


def _together(case: Case, shown: int, *, census: bool) -> str:
    if census:
        return "Everybody on the list was measured: the numbers are exact."
    size = case.tables.table.family_size
    return (
        f"Bounds hold for all {size} configurations and {shown} lines together with confidence {looks.sure(case)} over"
        " repeated draws of the subjects."
    )
