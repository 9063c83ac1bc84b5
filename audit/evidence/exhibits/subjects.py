"""The subjects that leaked most, by pseudonym: the only table that speaks of single subjects."""

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
from audit.risk.subjects import Tally, shared, subject_uppers

MOST = 20


@dataclass(frozen=True, eq=False)
class _Told:
    """Leaks of one configuration's subjects under one loss; ``uppers`` (n,) where repetition would change them."""

    row: int
    loss: str
    subjects: tuple[str, ...]
    tally: Tally
    uppers: np.ndarray | None


@EXHIBITS.register("subjects")
@dataclass(frozen=True)
class Subjects:
    """Counts each subject's leaks; exact where they would not change on repetition, else bounded for all at once."""

    name: ClassVar[str]
    place: ClassVar[int] = 40

    def make(self, case: Case) -> Exhibit | None:
        """Return the worst subjects of the quoted configurations; None without a 0/1 primary loss."""
        counted = [loss for loss in case.settings.primary if loss in losses.BINARY]
        if not counted:
            return None
        told = [_told(case, row, loss) for row in looks.quoted(case) for loss in counted]
        fixed = case.assembly.header["losses"] == "fixed"
        return Exhibit(
            name=self.name,
            title="Which subjects leaked",
            claim=f"{looks.quoting(case)} {_claim(case, told, fixed=fixed)}",
            columns=tuple(_columns(several=len(counted) > 1, fixed=fixed)),
            rows=tuple(_rows(case, told, several=len(counted) > 1)),
            notes=tuple(_notes(case, told)),
        )


def _told(case: Case, row: int, loss: str) -> _Told:
    name = case.results[row].configuration
    confirmed = case.assembly.header.get("confirmed", {}).get("configuration") == name
    splits = (*OPENED, "sealed") if confirmed else OPENED
    subjects = (*case.assembly.opened("forget", splits), *case.assembly.seen("forget"))
    (found,) = attackers.tallies(case.assembly, loss, (name,), subjects)
    fixed = case.assembly.header["losses"] == "fixed"
    size = case.tables.table.family_size * len(case.settings.primary)
    return _Told(row, loss, subjects, found, None if fixed else subject_uppers(found, case.delta, size))


def _columns(*, several: bool, fixed: bool) -> Iterator[Column]:
    yield from looks.CONFIGURATION
    if several:
        yield Column("Loss")
    yield from (Column("Subject"), Column("Attacks"), Column("Questions"), Column("Leaked", "share"))
    if not fixed:
        yield Column("At most", "upper")


def _rows(case: Case, told: list[_Told], *, several: bool) -> Iterator[tuple[Value, ...]]:
    """Yield the subjects that leaked, the largest share first, at most 20 in all; then configurations without any."""
    ranked = sorted(
        (-float(item.tally.share[place]), -int(item.tally.questions_leaked[place]), number, place)
        for number, item in enumerate(told)
        for place in np.flatnonzero(item.tally.share > 0).tolist()
    )
    for *_, number, place in ranked[:MOST]:
        item, tally = told[number], told[number].tally
        missing = f", {tally.missing[place]} without a score" if tally.missing[place] else ""
        yield (
            *_who(case, item, several=several),
            item.subjects[place],
            f"{tally.attacks_leaked[place]} of {tally.attacks[place]}{missing}",
            f"{tally.questions_leaked[place]} of {tally.questions[place]}",
            float(tally.share[place]),
            *(() if item.uppers is None else (float(item.uppers[place]),)),
        )
    for item in told:
        if not (item.tally.share > 0).any():
            bound = () if item.uppers is None else (float(item.uppers.max(initial=0.0)),)
            yield (
                *_who(case, item, several=several),
                f"none of {len(item.subjects)}",
                None,
                None,
                0.0,
                *bound,
            )


def _who(case: Case, item: _Told, *, several: bool) -> tuple[Value, ...]:
    return (*looks.configuration(case, item.row), *((LOSSES[item.loss],) if several else ()))


def _claim(case: Case, told: list[_Told], *, fixed: bool) -> str:
    if fixed:
        return (
            "Every question was asked under every attack and no answer would change on repetition, so each subject’s"
            " count is exact for these questions and these attacks; it says nothing about others."
        )
    most = max(len(item.subjects) for item in told)
    size = case.tables.table.family_size
    level = shared(case.delta, most, size * len(case.settings.primary))
    return (
        "Answers would change on repetition, so “at most” bounds each subject’s mean chance of a leak over its pairs of"
        f" question and attack, for all {most} subjects of all {size} configurations together with confidence"
        f" {looks.sure(case)}: each at {level:.1g}."
    )


def _notes(case: Case, told: list[_Told]) -> Iterator[str]:
    shown = sum(int((item.tally.share > 0).sum()) for item in told)
    for item in told:
        leaked, missing = int((item.tally.pairs_leaked > 0).sum()), int((item.tally.missing > 0).sum())
        loss = f" ({LOSSES[item.loss]})" if len({other.loss for other in told}) > 1 else ""
        unknown = f"; {missing} lack a score, counted as a leak in the table" if missing else ""
        yield f"No. {item.row + 1}{loss}: {leaked} of {len(item.subjects)} measured subjects leaked something{unknown}."
    if shown > MOST:
        yield f"The {MOST} worst of {shown} are shown; equal ones in the audit’s recorded order."
    yield (
        "Attacks: how many of them got an answer out of this subject at some dose. Questions: how many of its questions"
        " yielded to some attack. Leaked: share of its pairs of question and attack."
    )
    yield (
        "Subjects carry the pseudonyms of the measurements; who holds the project’s key can tell who they are. Subjects"
        " that were not measured (tune and unopened sealed ones) and not auditable ones are not listed."
    )
