"""The list of attacks with parameters, cost and source, read off the classes (``unlearn-audit attacks``)."""

from __future__ import annotations

import dataclasses
from typing import Any

from audit.attacks.base import ATTACKS, Attack


def table() -> list[dict[str, Any]]:
    """Return one row per registered attack, sorted by name."""
    return [_row(ATTACKS[name]) for name in ATTACKS]


def _row(attack: type[Attack]) -> dict[str, Any]:
    return {
        "attack": attack.name,
        "version": attack.version,
        "tier": attack.tier,
        "dose_unit": attack.dose_unit,
        "parameters": {f.name: _default(f) for f in dataclasses.fields(attack)},  # type: ignore[arg-type]
        "about": (attack.__doc__ or "").partition("\n")[0],
        "control": attack.never_trained_control,
        "source": attack.source,
    }


def _default(field: dataclasses.Field) -> Any:
    """Return the default as JSON holds it, or the text ``required``."""
    if field.default is dataclasses.MISSING:
        return "required"
    return list(field.default) if isinstance(field.default, tuple) else field.default
