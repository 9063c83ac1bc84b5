"""Risk against the attacker's budget: prompts, then sampling, then the weights, then training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.attacks.base import TIERS
from audit.evidence import looks
from audit.evidence.exhibit import Column, Curve, Exhibit, Figure, Value
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.evidence.nested import Steps, steps
from audit.evidence.wording import LOSSES
from audit.plan import attackers
from audit.plan.attackers import Attacker
from audit.plan.naming import attack_label

TOOLS = {
    "prompt": "prompts",
    "sampling": "sampling",
    "weights": "weights",
    "finetune": "training",
}


@EXHIBITS.register("tiers")
@dataclass(frozen=True)
class Tiers:
    """A monotone curve per configuration: each attacker has the tools of the one before and more."""

    name: ClassVar[str]
    place: ClassVar[int] = 31

    def make(self, case: Case) -> Exhibit | None:
        """Return the curves; None with attacks of a single tier."""
        found = attackers.tiers(case.assembly)
        if len(found) < 2:
            return None
        shown = len(found) * len(case.settings.primary)
        curves = {loss: steps(case, loss, found, shown) for loss in case.settings.primary}
        what = f"all {shown} attackers" if len(curves) == 1 else f"all {shown} attackers and losses"
        census = all(curve.census for curve in curves.values())
        return Exhibit(
            name=self.name,
            title="Risk against the attacker’s budget",
            claim=(
                "Each attacker has the tools of the one before and more, and picks the attack for each subject, so the"
                f" risk can only grow. {looks.together(case, what, census=census)}"
            ),
            columns=_columns(case, found),
            rows=tuple(
                _row(case, row, loss, curves[loss]) for row in range(len(case.results)) for loss in curves
            ),
            notes=(*_notes(found), looks.READING, *looks.undrawn(case)),
            figure=_figure(case, found, curves),
        )


def _columns(case: Case, found: tuple[Attacker, ...]) -> tuple[Column, ...]:
    loss = (Column("Loss"),) if len(case.settings.primary) > 1 else ()
    return (*looks.CONFIGURATION, *loss, *(Column(f"{_name(attacker)} (%)") for attacker in found))


def _row(case: Case, row: int, loss: str, curve: Steps) -> tuple[Value, ...]:
    several = (LOSSES[loss],) if len(case.settings.primary) > 1 else ()
    return (*looks.configuration(case, row), *several, *curve.of(row))


def _figure(case: Case, found: tuple[Attacker, ...], curves: dict[str, Steps]) -> Figure:
    places = tuple(float(place) for place in range(len(found)))
    panels = tuple(
        (
            looks.panel(case, row),
            tuple(_curve(LOSSES[loss], places, curve, row) for loss, curve in curves.items()),
        )
        for row in looks.drawn(case)
    )
    return Figure(
        x_label="the attacker has",
        y_label="subjects leaked (%)",
        panels=panels,
        ticks=tuple((place, _name(attacker)) for place, attacker in zip(places, found, strict=True)),
        budget=case.settings.alpha_forget,
    )


def _curve(label: str, places: tuple[float, ...], curve: Steps, row: int) -> Curve:
    known = [place for place in range(len(places)) if np.isfinite(curve.estimate[place, row])]
    x = tuple(places[place] for place in known)
    y, lower, upper = (
        tuple(float(values[place, row]) for place in known)
        for values in (curve.estimate, curve.lower, curve.upper)
    )
    return Curve(label, x, y, lower, upper)


def _name(attacker: Attacker) -> str:
    first = attacker.label == TIERS[0]
    return TOOLS[attacker.label] if first else f"+ {TOOLS[attacker.label]}"


def _notes(found: tuple[Attacker, ...]) -> tuple[str, ...]:
    held, told = set(), []
    for attacker in found:
        new = [cell for cell in attacker.cells if cell not in held]
        held |= set(new)
        labels = dict.fromkeys("no attack" if attack == "none" else attack_label(attack) for attack, _ in new)
        told.append(f"{_name(attacker)}: {', '.join(labels)}")
    absent = [TOOLS[tier] for tier in TIERS if tier not in {attacker.label for attacker in found}]
    without = (
        (f"No attack by {' or '.join(absent)} was locked, so nothing is said about it.",) if absent else ()
    )
    return (f"{'; '.join(told)}.", *without)
