"""The attacker who picks the attack for each subject: risk of the worst case per subject."""

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
from audit.plan.attackers import Attacker
from audit.risk.clauses import ClauseBounds


@EXHIBITS.register("attackers")
@dataclass(frozen=True)
class Attackers:
    """Bounds mean_u max_a L_a(u) beside CUR, which bounds max_a mean_u L_a(u)."""

    name: ClassVar[str]
    place: ClassVar[int] = 30

    def make(self, case: Case) -> Exhibit | None:
        """Return one row per configuration and primary loss; None where there is nothing to choose from."""
        attacker, losses = attackers.everything(case.assembly), case.settings.primary
        if len(attacker.cells) < 2:
            return None
        clauses = {
            loss: attackers.clause(case.assembly, loss, attacker, looks.names(case)) for loss in losses
        }
        bounds = {loss: looks.bounds(case, clause, len(losses)) for loss, clause in clauses.items()}
        rows = tuple(
            _row(case, row, loss, bounds[loss], attacker)
            for row in range(len(case.results))
            for loss in losses
        )
        several = "every primary loss" if len(losses) > 1 else ""
        census = all(found.census for found in bounds.values())
        return Exhibit(
            name=self.name,
            title="An attacker who picks the attack for each subject",
            claim=(
                f"CUR judges one attack at a time. Here a subject counts as leaked if any of the"
                f" {len(attacker.cells)} locked attacks and doses gets at them: what somebody gets who tries all of"
                f" them on everybody. {looks.together(case, several, census=census)}"
            ),
            columns=tuple(_columns(case)),
            rows=rows,
            notes=tuple(_notes(case)),
        )


def _columns(case: Case) -> Iterator[Column]:
    yield from looks.CONFIGURATION
    if len(case.settings.primary) > 1:
        yield Column("Loss")
    yield from (Column("Unattacked", "share"), Column("Worst single attack", "share"))
    yield from (Column("Attacker’s choice", "share"), Column("Subjects"))
    yield from (Column("At least", "lower"), Column("At most", "upper"))
    yield Column(f"Budget {looks.percent(case.settings.alpha_forget)}")
    if "above_twins" in case.settings.primary:
        yield Column("Never-trained twins")


def _row(case: Case, row: int, loss: str, found: ClauseBounds, attacker: Attacker) -> tuple[Value, ...]:
    estimate, lower, upper = looks.numbers(found, row)
    several = (LOSSES[loss],) if len(case.settings.primary) > 1 else ()
    twins = (_twins(case, row, loss, attacker),) if "above_twins" in case.settings.primary else ()
    chosen = (estimate, looks.counts(found, row), lower, upper, looks.against(found, row))
    return (*looks.configuration(case, row), *several, *_single(case, row, loss), *chosen, *twins)


def _single(case: Case, row: int, loss: str) -> tuple[Value, Value]:
    """Return the estimates without an attack and under the worst single one."""
    told = [
        c
        for c in case.results[row].clauses
        if c.side == "forget" and c.loss == loss and c.state == "measured"
    ]
    plain = [c.estimate for c in told if c.attack == "none"]
    return plain[0] if plain else None, max((c.estimate for c in told), default=None)


def _twins(case: Case, row: int, loss: str, attacker: Attacker) -> Value:
    if loss != "above_twins":
        return None
    found = attackers.base_rate(case.assembly, case.results[row].configuration, attacker)
    if found is None or not found.twins:
        return "not measured"
    partly = f", {found.cells} of {len(attacker.cells)} attacks" if found.cells < len(attacker.cells) else ""
    return f"{np.divide(100 * found.above, found.twins):.1f} % ({found.above} of {found.twins}{partly})"


def _notes(case: Case) -> Iterator[str]:
    yield (
        "“Kept” and “exceeded” are shown by a bound; “open” means that the evidence decides neither way. The verdict"
        " asks for each attack by itself, so a configuration can be certified and still be open here."
    )
    if "above_twins" in case.settings.primary:
        yield (
            "Never-trained twins: how many of the held-out half the same choice of attacks takes for known, each attack"
            " with its own threshold from the other half. It is what perfect unlearning would show; nothing is"
            " subtracted."
        )
