"""What a recipe takes from the plan's budgets where it does not say itself.

A method names its parameters that mean a budget in ``budgets`` (``pdu`` holds the retain loss under a ceiling that follows
from the utility budget). The recipe is locked with the number written out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from audit.core.errors import AuditError
from audit.core.registry import parse_call
from audit.methods.base import METHODS
from audit.methods.grammar import split


def within(candidates: tuple[Any, ...], budgets: Mapping[str, float]) -> tuple[Any, ...]:
    """Return the candidates of a plan; ``budgets``: side -> share. What is no recipe is left for others to refuse."""
    return tuple(_within(item, budgets) if isinstance(item, str) else item for item in candidates)


def _within(text: str, budgets: Mapping[str, float]) -> str:
    try:
        written = split(text).method
        call = parse_call(written)
        method: Any = METHODS[call.name]
    except AuditError:
        return text
    places = [field.name for field in fields(method)]
    given = {*call.keywords, *places[: len(call.positional)]}
    missing = {
        name: budgets[side]
        for name, side in getattr(method, "budgets", {}).items()
        if name not in given and budgets[side] != _default(method, name)
    }
    if not missing:
        return text
    inside = written.partition("(")[2].rstrip().removesuffix(")").strip().removesuffix(",")
    inner = ", ".join([*([inside] if inside else []), *(f"{k}={v!r}" for k, v in missing.items())])
    return f"{call.name}({inner}){text.strip().removeprefix(written)}"


def _default(method: Any, name: str) -> Any:
    return next(field.default for field in fields(method) if field.name == name)
