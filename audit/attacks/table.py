"""The table of attacks that help texts, documents and reports show, read off the registry."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from audit.attacks.base import ATTACKS, TIERS, Attack, injects
from audit.attacks.cost import cost_row


def attacks_table() -> list[dict[str, Any]]:
    """Return one row per registered attack, weakest attacker first; doses and cost are those of its defaults.

    ``cost`` is in forward-equivalents of one scoring pass, ``seconds`` an estimate for 1,000 subjects.
    """
    return sorted((_row(ATTACKS[name]) for name in ATTACKS), key=lambda row: TIERS.index(row["tier"]))


def _row(cls: type[Attack]) -> dict[str, Any]:
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    choices = {f.name: typing.get_args(typing.get_type_hints(cls)[f.name]) for f in fields}
    required = [f for f in fields if f.default is dataclasses.MISSING]
    attack = cls(*(choices[f.name][0] for f in required))
    return {
        "attack": attack.name,
        "tier": attack.tier,
        "parameters": ", ".join(_parameter(f, choices[f.name]) for f in fields) or "–",
        "doses": _doses(attack),
        "cost": round(attack.cost, 1),
        "in bound": "no" if injects(attack) else "yes",
        "about": (cls.__doc__ or "").partition("\n")[0],
        "control": attack.never_trained_control,
        "source": attack.source,
        "version": attack.version,
    } | cost_row(attack)


def _doses(attack: Attack) -> str:
    listed = " / ".join(f"{dose:g}" for dose in attack.doses)
    return "–" if attack.doses == (0.0,) else f"{listed} {attack.dose_unit}"


def _parameter(field: dataclasses.Field, choices: tuple[Any, ...]) -> str:
    if field.default is dataclasses.MISSING:
        return "|".join(map(str, choices))
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"{field.name}={str(default).lower()}"
