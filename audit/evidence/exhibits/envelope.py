"""The upper envelope: attacks that put in what they ask for, beside models and persons that never knew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.attacks.base import ATTACKS
from audit.evidence.exhibit import Column, Exhibit, Value
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.plan.assemble import Promise
from audit.plan.forget_losses import OF_SECRETS
from audit.plan.naming import attack_label, configuration_label

Cell = tuple[str, float]


@EXHIBITS.register("envelope")
@dataclass(frozen=True)
class Envelope:
    """Counts how many persons, and how many twins, yield their secret to somebody who already had it."""

    name: ClassVar[str]
    place: ClassVar[int] = 45

    def make(self, case: Case) -> Exhibit | None:
        """Return the counts of candidates and references, persons and twins; None without such an attack."""
        cells = case.assembly.envelope
        if not cells:
            return None
        references = case.assembly.references
        names = [*case.assembly.candidates, *references.values()]
        labels = {name: f"control: {role}" for role, name in references.items()}
        compared = [_twins(case, names, cell) for cell in cells]
        size = max((len(values) for column in compared for values in column if values is not None), default=0)
        rows = [
            (labels.get(name, configuration_label(name)), *_row(case, name, place, cells, compared))
            for place, name in enumerate(names)
        ]
        people = len(case.assembly.opened("forget"))
        asked = [_asked(case, cell) for cell in cells]
        return Exhibit(
            name=self.name,
            title="Upper envelope",
            claim=f"Of {people} opened persons{f' and of {size} never-trained twins' if size else ''}, how many yield a"
            " secret to an attacker who put it in beforehand.",
            columns=(Column("configuration"), *_columns(cells, compared, asked)),
            rows=tuple(rows),
            notes=(
                "Nothing follows from these counts about what unlearning left behind: a model that never knew (control:"
                " retrained) yields answers that were put in, too. They enter no bound and no verdict.",
                _CONTROL if size else _NO_CONTROL,
                *_other_answers(cells),
            ),
            watermark="outside the bound",
        )


_CONTROL = (
    "Twins are nobody's training data: to the model their answers are random strings of the same form, and prompts"
    " and suffixes are optimised for them with the same effort. Where twins come out as often as persons, the attack"
    " can make the model say anything. relearn and interpolate put nothing in about twins: read them beside"
    " control: retrained."
)
_NO_CONTROL = (
    "No twins were measured: nothing shows how often the attack would draw a random string of the same form."
)


def _columns(
    cells: list[Cell], compared: list[list[np.ndarray | None]], asked: list[int]
) -> Iterator[Column]:
    for cell, column, people in zip(cells, compared, asked, strict=True):
        yield Column(f"{attack_label(*cell)}, of {people}", "count")
        size = max((len(values) for values in column if values is not None), default=0)
        if size:
            yield Column(f"{attack_label(*cell)}, of {size} twins", "count")


def _asked(case: Case, cell: Cell) -> int:
    """Return how many opened persons the attack has a way of asking."""
    view = case.assembly.cell(cell, case.assembly.opened("forget"))
    read = view.cube.secret[view.units] if case.settings.primary[0] in OF_SECRETS else True
    return int((view.asked & read).any(axis=1).sum())


def _other_answers(cells: list[Cell]) -> Iterator[str]:
    """Say of which attacks the counts are of something else than secrets."""
    for attack in dict.fromkeys(attack for attack, _ in cells):
        wanted = getattr(ATTACKS.build(attack), "asks_for", None)
        if wanted:
            yield f"{attack_label(attack)} asks for the {wanted}: its counts are of persons whose {wanted} came back."


def _row(
    case: Case, name: str, place: int, cells: list[Cell], compared: list[list[np.ndarray | None]]
) -> Iterator[Value]:
    for cell, column in zip(cells, compared, strict=True):
        yield _count(case, name, cell)
        if any(values is not None for values in column):
            yield _recovered(column[place])


def _twins(case: Case, names: list[str], cell: Cell) -> list[np.ndarray | None]:
    """Return each configuration's losses of the twins that are counted, None where they were not measured."""
    return [case.assembly.twin_losses(name, case.settings.primary[0], cell) for name in names]


def _count(case: Case, name: str, cell: Cell) -> Value:
    """Return the opened persons recovered in one cell, None where it was not measured."""
    loss = case.settings.primary[0]
    if case.assembly.state(name, Promise(loss, "forget", *cell))[0] != "measured":
        return None
    losses = case.assembly.unit_losses(loss, cell, tuple(case.assembly.opened("forget")))
    return _recovered(None if losses is None else losses[case.assembly.cube.configurations.index(name)])


def _recovered(losses: np.ndarray | None) -> Value:
    return None if losses is None else float(np.nansum(losses >= 1))
