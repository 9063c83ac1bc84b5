"""Short names for people: a canonical text says everything, a table needs the part that differs."""

from __future__ import annotations

from functools import cache

from audit.attacks.base import ATTACKS
from audit.core.errors import AuditError
from audit.core.registry import parse_call
from audit.core.registry import short as shortest
from audit.methods.compose import parse_recipe


@cache
def attack_label(text: str, dose: float | None = None) -> str:
    """Return the attack's shortest text, with the dose where it has several: ``relearn @25 steps``."""
    try:
        if parse_call(text).name not in ATTACKS:
            return text
        attack = ATTACKS.build(text)
    except AuditError:
        return text  # an imported log may name attacks of its own
    label = shortest(attack)
    if dose is None:
        return label
    return f"{attack.name} @{dose:g} {attack.dose_unit}" if len(attack.doses) > 1 else label


@cache
def configuration_label(text: str) -> str:
    """Return the recipe's shortest text; names that are no recipe stay as they are, digests are cut."""
    if text.startswith("given("):
        return f"given({text[6:18]})"
    try:
        return parse_recipe(text).short
    except AuditError:
        return text
