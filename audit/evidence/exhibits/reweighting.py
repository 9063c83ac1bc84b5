"""What the risk becomes if one group of subjects is asked about more often: a known likelihood ratio per subject."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from audit.evidence import looks
from audit.evidence.exhibit import Column, Curve, Exhibit, Figure
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.evidence.wording import LOSSES
from audit.plan import attackers
from audit.plan.assemble import OPENED
from audit.plan.groups import Group, of_column
from audit.risk.clauses import Levels, bound_clause
from audit.risk.shift import reweighted
from audit.risk.table import Clause

TIMES = (1.0, 1.5, 2.0, 3.0, 5.0)
MOST_GROUPS = 8


@EXHIBITS.register("reweighting")
@dataclass(frozen=True)
class Reweighting:
    """Bounds under w L / W for one group asked about t times as often as every other."""

    name: ClassVar[str]
    place: ClassVar[int] = 51

    def make(self, case: Case) -> Exhibit | None:
        """Return the groups of the quoted configurations; None without named groups on a list counted once."""
        found = _groups(case)
        if not found:
            return None
        shown = len(found) * len(TIMES) * len(case.settings.primary)
        curves = {
            (row, loss, group.name): _curve(case, row, loss, group, shown)
            for row in looks.quoted(case)
            for loss in case.settings.primary
            for group in found
        }
        what = f"all {shown} columns and groups"
        census = len(case.assembly.opened("forget", OPENED)) == case.assembly.population("forget")
        return Exhibit(
            name=self.name,
            title="If one group is asked about more often",
            claim=(
                "The audit weighs every subject alike. Here the subjects of one group are asked about t times as often"
                " as everybody else, by an attacker who picks the attack for each subject."
                f" {looks.quoting(case)} {looks.together(case, what, census=census, lower=False)}"
            ),
            columns=(
                *looks.CONFIGURATION,
                Column("Loss"),
                Column("Group"),
                *(Column(f"if t = {times:g}", "upper") for times in TIMES),
            ),
            rows=tuple(
                (*looks.configuration(case, row), LOSSES[loss], group, *values)
                for (row, loss, group), values in curves.items()
            ),
            notes=(
                "How often whom is asked about is an assumption. At t = 1 the number differs from the one of the even"
                " draw, since losses with weights are graded and need another bound.",
            ),
            watermark="if",
            figure=_figure(case, curves),
        )


def _groups(case: Case) -> list[Group]:
    """Return the named groups of the forget list, the largest first if they are many."""
    assembly = case.assembly
    if (
        assembly.seen("forget")
        or assembly.header["losses"] != "fixed"
        or assembly.population("forget") is None
    ):
        return []
    found = of_column(assembly, "forget", "group") or of_column(assembly, "forget", "list")
    return sorted(found, key=lambda group: -(group.population or 0))[:MOST_GROUPS]


def _curve(case: Case, row: int, loss: str, group: Group, shown: int) -> tuple[float, ...]:
    names = (case.results[row].configuration,)
    clause = attackers.clause(case.assembly, loss, attackers.everything(case.assembly), names)
    level = case.delta / (case.tables.table.family_size * shown)
    return tuple(_upper(clause, group, times, level) for times in TIMES)


def _upper(clause: Clause, group: Group, times: float, level: float) -> float:
    """Return the upper bound of the mean loss with ``times`` the weight on ``group``, weights of mean 1 on the list."""
    size, inside = clause.population or 0, group.population or 0
    one = size / (times * inside + size - inside)  # the weight of everybody else
    weights = np.where(group.chosen, times * one, one)
    ratio = times * one
    clause = replace(clause, losses=reweighted(clause.losses, weights, ratio), binary=False, looked=None)
    found = bound_clause(clause, 0.5, Levels(level, level, level))  # the budget is not asked here
    return float(min(1.0, ratio * found.upper[0]))


def _figure(case: Case, curves: dict[tuple[int, str, str], tuple[float, ...]]) -> Figure:
    panels: dict[str, list[Curve]] = {}
    several = len(case.settings.primary) > 1
    for (row, loss, group), values in curves.items():
        label = f"if: {group}, {LOSSES[loss]}" if several else f"if: {group}"
        panels.setdefault(looks.panel(case, row), []).append(Curve(label, TIMES, values))
    return Figure(
        x_label="t: how many times as often",
        y_label="risk at most, if (%)",
        panels=tuple((title, tuple(lines)) for title, lines in list(panels.items())[: looks.MOST_PANELS]),
        budget=case.settings.alpha_forget,
    )
