"""The upper envelope: attacks that put in what they ask for, beside models that never knew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.evidence.exhibit import Column, Exhibit, Value
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.plan.assemble import Promise
from audit.plan.naming import attack_label, configuration_label


@EXHIBITS.register("envelope")
@dataclass(frozen=True)
class Envelope:
    """Counts how many persons yield their secret to somebody who already showed it to the model."""

    name: ClassVar[str]
    place: ClassVar[int] = 45

    def make(self, case: Case) -> Exhibit | None:
        """Return the counts of candidates and references; None without such an attack."""
        cells = case.assembly.envelope
        if not cells:
            return None
        references = case.assembly.references
        names = [*case.assembly.candidates, *references.values()]
        labels = {name: f"control: {role}" for role, name in references.items()}
        rows = [
            (labels.get(name, configuration_label(name)), *(_count(case, name, cell) for cell in cells))
            for name in names
        ]
        opened = len(case.assembly.opened("forget"))
        return Exhibit(
            name=self.name,
            title="Upper envelope",
            claim=f"Of {opened} opened persons, how many yield a secret to an attacker who put it in beforehand.",
            columns=(Column("configuration"), *(Column(attack_label(*cell), "count") for cell in cells)),
            rows=tuple(rows),
            notes=(
                "Nothing follows from these counts about what unlearning left behind: a model that never knew (control:"
                " retrained) learns the answers too. They enter no bound and no verdict.",
            ),
            watermark="outside the bound",
        )


def _count(case: Case, name: str, cell: tuple[str, float]) -> Value:
    """Return the opened persons recovered in one cell, None where it was not measured."""
    loss = case.settings.primary[0]
    if case.assembly.state(name, Promise(loss, "forget", *cell))[0] != "measured":
        return None
    losses = case.assembly.unit_losses(loss, cell, tuple(case.assembly.opened("forget")))
    if losses is None:
        return None
    return float(np.nansum(losses[case.assembly.cube.configurations.index(name)] >= 1))
