"""Dose and response, cumulative: an attacker who may stop at any dose up to d."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.evidence import looks
from audit.evidence.exhibit import Column, Curve, Exhibit, Figure, Value
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.evidence.nested import Steps, steps
from audit.evidence.wording import LOSSES
from audit.plan import attackers
from audit.plan.attackers import Attacker
from audit.plan.naming import attack_label

Key = tuple[str, str]  # attack, loss


@EXHIBITS.register("doses")
@dataclass(frozen=True)
class Doses:
    """How much of an attack (steps of relearning) brings how many subjects back, for every configuration."""

    name: ClassVar[str]
    place: ClassVar[int] = 32

    def make(self, case: Case) -> Exhibit | None:
        """Return table and curves; None without an attack of several doses."""
        dosed = attackers.doses(case.assembly)
        if not dosed:
            return None
        losses = case.settings.primary
        shown = sum(map(len, dosed.values())) * len(losses)
        found = {
            (attack, loss): steps(case, loss, chain, shown)
            for attack, chain in dosed.items()
            for loss in losses
        }
        units = {record["attack"]: record["dose_unit"] for record in case.assembly.header["attacks"]}
        unit = ", ".join(dict.fromkeys(units[attack] for attack in dosed))
        census = all(curve.census for curve in found.values())
        return Exhibit(
            name=self.name,
            title="Dose and response: stopping at any dose",
            claim=(
                "A subject counts at dose d if the attack gets at them at d or at any smaller dose, or without an attack:"
                " the attacker may stop where it suits them. Dose 0 is the model as it ships."
                f" {looks.together(case, f'all {shown} doses', census=census)}"
            ),
            columns=_columns(dosed, several=len(found) > 1),
            rows=tuple(
                _row(case, row, key, curve, dosed, several=len(found) > 1)
                for row in range(len(case.results))
                for key, curve in found.items()
            ),
            notes=(_units(dosed, units), looks.READING, *looks.undrawn(case)),
            figure=_figure(case, found, dosed, f"dose ({unit})" if len(dosed) == 1 else "place of the dose"),
        )


def _columns(dosed: dict[str, tuple[Attacker, ...]], *, several: bool) -> tuple[Column, ...]:
    kinds = (Column("Attack"), Column("Loss")) if several else ()
    longest = max(dosed.values(), key=len)
    names = [f"dose {step.label} (%)" for step in longest]
    if len(dosed) > 1:  # their doses differ, so each cell names its own
        names = [f"place {place}: dose, %" for place in range(len(longest))]
    return (*looks.CONFIGURATION, *kinds, *map(Column, names))


def _row(
    case: Case, row: int, key: Key, curve: Steps, dosed: dict[str, tuple[Attacker, ...]], *, several: bool
) -> tuple[Value, ...]:
    attack, loss = key
    kinds = (attack_label(attack), LOSSES[loss]) if several else ()
    told = curve.of(row)
    if len(dosed) > 1:
        told = [f"{step.label}: {value}" for step, value in zip(dosed[attack], told, strict=True)]
    told += ["–"] * (max(map(len, dosed.values())) - len(told))
    return (*looks.configuration(case, row), *kinds, *told)


def _figure(
    case: Case, found: dict[Key, Steps], dosed: dict[str, tuple[Attacker, ...]], x_label: str
) -> Figure:
    panels = tuple(
        (
            looks.panel(case, row),
            tuple(_curve(found, key, _places(dosed, key[0]), row) for key in found),
        )
        for row in looks.drawn(case)
    )
    return Figure(
        x_label=x_label,
        y_label="subjects leaked (%)",
        panels=panels,
        budget=case.settings.alpha_forget,
    )


def _places(dosed: dict[str, tuple[Attacker, ...]], attack: str) -> list[float]:
    """Return where the doses of an attack stand on the axis: at themselves, or one after the other beside other attacks'."""
    return [
        float(step.label) if len(dosed) == 1 else float(place) for place, step in enumerate(dosed[attack])
    ]


def _curve(found: dict[Key, Steps], key: Key, places: list[float], row: int) -> Curve:
    attack, loss = key
    curve = found[key]
    known = [place for place in range(len(places)) if np.isfinite(curve.estimate[place, row])]
    y, lower, upper = (
        tuple(float(values[place, row]) for place in known)
        for values in (curve.estimate, curve.lower, curve.upper)
    )
    several = len({loss for _, loss in found}) > 1
    label = f"{attack_label(attack)}, {LOSSES[loss]}" if several else attack_label(attack)
    return Curve(label, tuple(places[place] for place in known), y, lower, upper)


def _units(dosed: dict[str, tuple[Attacker, ...]], units: dict[str, str]) -> str:
    told = [
        f"{attack_label(attack)}: doses {', '.join(step.label for step in chain)} {units[attack]}"
        for attack, chain in dosed.items()
    ]
    return f"{'; '.join(told)}. A claim ends at the largest dose: more of the attack may bring back more."
