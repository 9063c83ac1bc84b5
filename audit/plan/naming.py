"""Short names for people: a canonical text says everything, a table needs the part that differs."""

from __future__ import annotations

import dataclasses
from functools import cache

from audit.attacks.base import ATTACKS, Attack
from audit.core.errors import AuditError
from audit.core.registry import parse_call
from audit.core.registry import short as shortest
from audit.methods.compose import parse_recipe


@cache
def attack_label(text: str, dose: float | None = None) -> str:
    """Return the attack's shortest text, with the dose where it has several: ``relearn(lr=0.001) @25 steps``."""
    try:
        if parse_call(text).name not in ATTACKS:
            return text
        attack = ATTACKS.build(text)
    except AuditError:
        return text  # an imported log may name attacks of its own
    if dose is None or len(attack.doses) <= 1:
        return shortest(attack)
    return f"{shortest(attack, without=_dosed(attack))} @{dose:g} {attack.dose_unit}"


def _dosed(attack: Attack) -> str:
    """Return the parameter that lists or counts the attack's doses, "" if none does."""
    counted = tuple(map(float, range(1, len(attack.doses) + 1)))
    for field in dataclasses.fields(attack):  # type: ignore[arg-type]
        value = getattr(attack, field.name)
        if isinstance(value, tuple) and value == attack.doses:
            return field.name
        if isinstance(value, int) and value == len(attack.doses) and counted == attack.doses:
            return field.name
    return ""


@cache
def configuration_label(text: str) -> str:
    """Return the recipe's shortest text; names that are no recipe stay as they are, digests are cut."""
    if text.startswith("given("):
        return f"given({text[6:18]})"
    try:
        return parse_recipe(text).short
    except AuditError:
        return text
