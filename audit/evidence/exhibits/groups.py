"""Groups of subjects, each with bounds of its own: a mean over everybody can hide one group's loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.evidence import looks
from audit.evidence.exhibit import Column, Exhibit
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.evidence.wording import LOSSES
from audit.plan import attackers
from audit.plan.assemble import OPENED
from audit.plan.groups import Group, groups
from audit.risk.attackers import Part, as_clause
from audit.risk.table import Clause

_COLUMNS = (
    *looks.CONFIGURATION,
    Column("Group"),
    Column("Loss"),
    Column("Count"),
    Column("On the list", "count"),
    Column("Share", "share"),
    Column("At least", "lower"),
    Column("At most", "upper"),
    Column("Budget"),
)


@dataclass(frozen=True, eq=False)
class _Line:
    """One group under one loss: ``clause`` over all configurations."""

    group: Group
    loss: str
    clause: Clause
    budget: float


@EXHIBITS.register("groups")
@dataclass(frozen=True)
class Groups:
    """Forgetting risk (worst attack per subject) and utility loss of every group, bounds shared over all of them."""

    name: ClassVar[str]
    place: ClassVar[int] = 42

    def make(self, case: Case) -> Exhibit | None:
        """Return the groups of the quoted configurations; None where units are not told apart."""
        lines = [*_forgetting(case), *_utility(case)]
        if not lines:
            return None
        bounds = [looks.bounds(case, line.clause, len(lines), line.budget) for line in lines]
        rows = tuple(
            (
                *looks.configuration(case, row),
                line.group.name,
                LOSSES[line.loss],
                looks.counts(found, row),
                line.group.population,
                *looks.numbers(found, row),
                looks.against(found, row),
            )
            for row in looks.quoted(case)
            for line, found in zip(lines, bounds, strict=True)
        )
        census = all(found.census for found in bounds)
        return Exhibit(
            name=self.name,
            title="Groups of subjects",
            claim=(
                f"{looks.quoting(case)} A mean over everybody can hide what one group suffers. Forgotten subjects count as"
                " leaked if any locked attack gets at them."
                f" {looks.together(case, f'all {len(lines)} lines per configuration', census=census)}"
            ),
            columns=_COLUMNS,
            rows=rows,
            notes=tuple(_notes(case, lines)),
        )


def _forgetting(case: Case) -> Iterator[_Line]:
    attacker = attackers.everything(case.assembly)
    for group in groups(case.assembly, "forget"):
        for loss in case.settings.primary:
            clause = attackers.clause(
                case.assembly,
                loss,
                attacker,
                looks.names(case),
                (group.chosen, group.population),
            )
            yield _Line(group, loss, clause, case.settings.alpha_forget)


def _utility(case: Case) -> Iterator[_Line]:
    assembly = case.assembly
    units = [*assembly.opened("retain", OPENED), *assembly.seen("retain")]
    rows = assembly.cube.rows_of(units)
    counted = assembly.retained.counted(rows)
    promise = next(p for p in case.tables.promises if p.side == "retain")
    states = [assembly.state(name, promise)[0] for name in looks.names(case)]
    candidates = [assembly.cube.configurations.index(name) for name in looks.names(case)]
    for group in groups(assembly, "retain"):
        chosen = group.chosen & counted
        part = Part(
            losses=assembly.retained.losses(rows[chosen])[candidates],
            measured=np.array([state == "measured" for state in states], dtype=bool),
            applicable=np.array([state != "not_applicable" for state in states], dtype=bool),
            reached=np.ones(int(chosen.sum()), dtype=bool),
        )
        clause = as_clause(
            f"{assembly.utility_loss} | {group.name}",
            part,
            opened=int(chosen[: len(assembly.opened("retain", OPENED))].sum()),
            population=None
            if group.population is None
            else group.population - int((group.chosen & ~counted).sum()),
            fixed=assembly.header["losses"] == "fixed",
            binary=False,
        )
        yield _Line(group, assembly.utility_loss, clause, case.settings.alpha_utility)


def _notes(case: Case, lines: list[_Line]) -> Iterator[str]:
    forget, utility = (looks.percent(a) for a in (case.settings.alpha_forget, case.settings.alpha_utility))
    yield (
        f"Budgets are those of the whole list: {forget} forgetting, {utility} utility. They were not promised for any"
        " group; small groups often stay open."
    )
    if any(line.group.column == "half" for line in lines):
        yield "Half: a training attacker holds one half of the forget list and is measured on the other, both ways."
