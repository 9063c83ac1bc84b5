"""Sweeps written in a plan, expanded into ordinary recipes before anything is locked.

    {sweep: npo(retain_weight=2), lr: {log: [1e-5, 1e-3], n: 3}, steps: [30, 60]}

is six candidates: every combination of the values, the last parameter fastest. With ``trajectory: true`` the values
of ``steps`` are checkpoints of one training, the longest; a post-calibration's name sweeps its first parameter
(``path: [0.5, 1]``). The lock lists each candidate and the error probability is shared among all, so a wider search
costs evidence and not honesty.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import reprlib
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from audit.core.errors import AuditError
from audit.core.registry import parse_call
from audit.methods.base import METHODS, POSTS
from audit.methods.compose import parse_recipe
from audit.methods.grammar import split
from audit.models.training import Budget

SWEEP = "sweep"
TRAJECTORY = "trajectory"
MOST = 100  # recipes of one sweep; more are a typing error, or a search that no audit can pay for
_DIGITS = (3, 6, 17)  # of the values inside a range: as few as tell them apart, so that recipes stay legible
_RANGES = ("log", "linear")
_FORM = "write {sweep: npo, lr: {log: [1e-5, 1e-3], n: 3}, steps: [30, 60]}"


def expand(candidates: Any) -> Any:
    """Return the candidates of a plan with every sweep replaced by its recipes, in order.

    What is no sweep stays as it is. Raises E270 to E274, and what a recipe itself raises.
    """
    if not isinstance(candidates, list | tuple):
        return candidates
    return [out for item in candidates for out in (recipes(item) if _is_sweep(item) else [item])]


def recipes(sweep: Mapping[str, Any]) -> list[str]:
    """Return the recipes of one sweep, shortest texts, all different."""
    texts = _bases(sweep[SWEEP])
    named = {_name(name): given for name, given in sweep.items() if name not in (SWEEP, TRAJECTORY)}
    counts = _counts(texts)
    values = {name: _values(name, given, whole=name in counts) for name, given in named.items()}
    whole = _longest(sweep[TRAJECTORY], values) if TRAJECTORY in sweep else None
    count = len(texts) * math.prod(map(len, values.values()))
    if count > MOST:
        raise AuditError(
            "E270",
            f"a sweep of {_sizes(len(texts), values)} is {count} candidates, at most {MOST} are allowed",
            "thin it out: each candidate takes its share of the error probability",
        )
    points = itertools.product(texts, *values.values())
    made = [_short(_with(text, dict(zip(values, point, strict=True)), whole)) for text, *point in points]
    if len(set(made)) < len(made):
        raise AuditError(
            "E273", f"{len(made) - len(set(made))} of {len(made)} recipes of a sweep repeat", "name each once"
        )
    return made


def _short(text: str) -> str:
    """Return the shortest text of a recipe; of one that takes the plan's budgets every number written out, if given."""
    recipe = parse_recipe(text)
    named = [name for name in getattr(recipe.method, "budgets", {}) if f"{name}=" in text.replace(" ", "")]
    return str(recipe) if named else recipe.short


def _is_sweep(item: Any) -> bool:
    return isinstance(item, Mapping) and SWEEP in item


def _bases(given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) for text in texts):
        raise AuditError(
            "E271", f"`sweep` names a recipe or a list of recipes, got {reprlib.repr(given)}", _FORM
        )
    return list(texts)


def _longest(given: Any, values: Mapping[str, list[str]]) -> str | None:
    """Return the steps of the training whose checkpoints the sweep's ``steps`` are; None without trajectories."""
    if given is False:
        return None
    counts = [value for value in values.get("steps", ()) if _number(value) is not None]
    for value in counts:
        if not float(value).is_integer():
            raise AuditError(
                "E464",
                f"`steps` of a trajectory holds {value}",
                "checkpoints stand after whole numbers of steps",
            )
    if given is not True or len(counts) < max(2, len(values.get("steps", ()))):
        raise AuditError(
            "E467",
            f"`trajectory` is {given!r}, with {len(counts)} numbers as values of steps",
            "write {sweep: npo, steps: [30, 60, 90], trajectory: true}",
        )
    return max(counts, key=float)


def _counts(texts: list[str]) -> frozenset[str]:
    """Return what takes whole numbers: parameters in each of these recipes, post-calibrations by their first."""
    names = [parse_call(split(text).method).name for text in texts]
    taken = [_types(Budget) | (_types(METHODS[name]) if name in METHODS else {}) for name in names]
    firsts = {name: next(iter(_types(POSTS[name]).values()), "") for name in POSTS}
    whole = [{name for name, kind in (firsts | types).items() if kind == "int"} for types in taken]
    return frozenset(set.intersection(*whole))


def _types(cls: Any) -> dict[str, str]:
    return {field.name: str(field.type) for field in dataclasses.fields(cls) if field.init}


def _name(given: Any) -> str:
    name = str(given)
    if not name.isidentifier():
        quotes = 'put a recipe that holds a comma in quotes: {sweep: "npo(lr=1e-4, beta=0.2)"}'
        raise AuditError("E271", f"{name!r} is no parameter's name", quotes if ")" in name else _FORM)
    return name


def _values(name: str, given: Any, *, whole: bool) -> list[str]:
    """Return the values of one parameter as they stand in a recipe; ``whole``: it takes whole numbers only."""
    if isinstance(given, Mapping):
        return [_word(name, value) for value in _range(name, given, counted=whole)]
    values = given if isinstance(given, list | tuple) else [given]
    if not values:
        raise AuditError("E271", f"a sweep of {name} over no values", "give a list, or leave it out")
    return [_word(name, value) for value in values]


def _range(name: str, given: Mapping[Any, Any], *, counted: bool) -> list[float]:
    """Return n numbers from low to high, evenly spaced on the named scale."""
    kinds = [kind for kind in _RANGES if kind in given]
    if len(kinds) != 1 or set(given) != {kinds[0], "n"}:
        raise AuditError("E272", f"the range of {name} holds {', '.join(map(str, given))}", _FORM)
    ends, n = given[kinds[0]], given["n"]
    low, high = map(_number, ends) if isinstance(ends, list | tuple) and len(ends) == 2 else (None, None)
    whole = isinstance(n, int) and not isinstance(n, bool) and n >= 2
    if low is None or high is None or not low < high or not whole or (kinds[0] == "log" and low <= 0):
        above = "0 < low < high" if kinds[0] == "log" else "low < high"
        raise AuditError(
            "E272",
            f"the range of {name} is {kinds[0]}: {reprlib.repr(ends)}, n: {reprlib.repr(n)}",
            f"give [low, high] with {above}, n >= 2",
        )
    if n > MOST:  # before so many numbers are made
        raise AuditError(
            "E270", f"the range of {name} has {reprlib.repr(n)} values, at most {MOST} are allowed", "lower n"
        )
    scale = np.geomspace if kinds[0] == "log" else np.linspace
    inner = scale(float(low), float(high), n)[1:-1].tolist()
    for values in (
        [low, *(round(x) if counted else float(f"{x:.{digits}g}") for x in inner), high] for digits in _DIGITS
    ):
        if all(a < b for a, b in itertools.pairwise(values)):
            return values
    raise AuditError("E274", f"{n} values of {name} do not fit between {low} and {high}", "lower n")


def _number(value: Any) -> float | int | None:
    """Return a finite number, None for anything else; YAML reads ``1e-5``, without a dot, as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = value if isinstance(value, int) else float(value)
    except ValueError:
        return None
    return number if abs(number) <= sys.float_info.max else None  # of any int, however long


def _word(name: str, value: Any) -> str:
    number = _number(value)
    if number is not None:
        return repr(number)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.isidentifier():
        return value
    raise AuditError(
        "E271",
        f"a value of {name} is {reprlib.repr(value)}",
        "give finite numbers, true, false or plain words",
    )


def _with(text: str, values: Mapping[str, str], whole: str | None) -> str:
    """Return the recipe with ``values`` among its method's parameters; one given twice is E112.

    With ``whole`` steps of training the value of ``steps`` is the checkpoint. A post-calibration's goes behind ``>``.
    """
    parts = split(text)
    posts = [*([parts.post] if parts.post else []), *(f"{k}({v})" for k, v in values.items() if k in POSTS)]
    stops = [
        *([parts.at] if parts.at is not None else []),
        *([str(int(float(values["steps"])))] if whole else []),
    ]
    if len(posts) > 1 or len(stops) > 1:
        twice = "post-calibration" if len(posts) > 1 else "checkpoint"
        raise AuditError("E468", f"the recipes of a sweep of {text!r} have a second {twice}", "leave one out")
    values = {k: v for k, v in values.items() if k not in POSTS} | ({"steps": whole} if whole else {})
    name, bracket, inside = parts.method.partition("(")
    given = [inside.rstrip().removesuffix(")").strip().removesuffix(",")] if bracket else []
    inner = ", ".join([part for part in given if part] + [f"{k}={v}" for k, v in values.items()])
    method = f"{name.strip()}({inner})" if inner else name
    after = [f"at {stop}" for stop in stops] + [f"> {post}" for post in posts]
    weighted = [f"* {parts.weighting}"] if parts.weighting else []
    return " ".join([method, *weighted, *(f"+ {step}" for step in parts.steps), f"@{parts.scope}", *after])


def _sizes(texts: int, values: Mapping[str, list[str]]) -> str:
    counts = [f"{texts} recipes", *(f"{len(v)} {name}" for name, v in values.items())]
    return " × ".join(counts)
