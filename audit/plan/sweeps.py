"""Sweeps: configurations of one method that differ in positive numbers only, so that a curve can join them.

A seed is no such number: nothing lies between two of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit.core.errors import AuditError
from audit.methods.compose import Recipe, parse_recipe

_Key = tuple[str, str, tuple[tuple[str, str], ...]]
_POSITIVE = "a positive number"


@dataclass(frozen=True, eq=False)
class Sweep:
    """Recipes that share a method, what surrounds it and every parameter that is not a positive number.

    ``label`` names the method and what sets this sweep apart from the method's others; ``names`` (C,) the
    configurations; ``parameters`` (D,) what varies; ``values`` (C, D), all > 0; ``whole`` (D,) marks counts.
    """

    label: str
    names: tuple[str, ...]
    parameters: tuple[str, ...]
    values: np.ndarray
    whole: tuple[bool, ...]
    _first: Recipe

    def recipe(self, values: Sequence[float]) -> str:
        """Return the shortest text of the recipe with ``values`` (D,) in place of what varies."""
        given = {
            name: int(value) if whole else float(value)
            for name, value, whole in zip(self.parameters, values, self.whole, strict=True)
        }
        for name, tried in zip(self.names, self.values, strict=True):
            if np.array_equal(tried, values):
                return parse_recipe(name).short
        first = self._first
        at = None if "steps" in given else first.at  # proposed is a training of its own
        return dataclasses.replace(
            first,
            method=_with(first.method, given),
            budget=_with(first.budget, given),
            post=first.post and _with(first.post, {k.partition(".")[2]: v for k, v in given.items()}),
            at=at,
        ).short


def sweeps(names: Sequence[str]) -> tuple[Sweep, ...]:
    """Return the sweeps among configuration names, in order of appearance; what is no recipe stands aside."""
    groups: dict[_Key, list[tuple[str, Recipe]]] = {}
    for name in names:
        try:
            recipe = parse_recipe(name)
        except AuditError:
            continue  # a checkpoint that was given, or a name of an imported log
        groups.setdefault(_fixed(recipe), []).append((name, recipe))
    return tuple(_sweep(_label(key, list(groups)), members) for key, members in groups.items())


def _sweep(label: str, members: list[tuple[str, Recipe]]) -> Sweep:
    names, recipes = zip(*members, strict=True)
    numbers = [{k: v for k, v in (_fields(r) | _of_post(r)).items() if _tunable(k, v)} for r in recipes]
    varying = tuple(name for name in numbers[0] if len({n[name] for n in numbers}) > 1)
    return Sweep(
        label=label,
        names=names,
        parameters=varying,
        values=np.array([[n[name] for name in varying] for n in numbers], dtype=np.float64),
        whole=tuple(isinstance(numbers[0][name], int) for name in varying),
        _first=recipes[0],
    )


def _label(key: _Key, keys: list[_Key]) -> str:
    """Return the method's name, with the words and the surroundings in which its sweeps differ."""
    method, around, words = key
    alike = [other for other in keys if other[0] == method]
    parts = [
        f"{name}={word}" if word != _POSITIVE else f"{name}>0"
        for number, (name, word) in enumerate(words)
        if len({other[2][number] for other in alike}) > 1
    ]
    inside = f"({', '.join(parts)})" if parts else ""
    where = f" {around}" if len({other[1] for other in alike}) > 1 else ""
    return f"{method}{inside}{where}"


def _fixed(recipe: Recipe) -> _Key:
    """Return what all members of a sweep share: method, surroundings, words, and numbers without a logarithm."""
    fields = _fields(recipe)
    words = tuple((k, _POSITIVE if _tunable(k, v) else str(v)) for k, v in fields.items())
    around = [dataclasses.replace(recipe, post=None).around]
    if recipe.post is not None:
        held = [f"{name}={value}" for name, value in _of_post(recipe).items() if not _tunable(name, value)]
        around += [">", recipe.post.name, *held]
    return (recipe.method.name, " ".join(around), words)


def _fields(recipe: Recipe) -> dict[str, Any]:
    """Return the numbers and words of a recipe; ``steps`` are those taken, by a checkpoint fewer than by the whole."""
    return dataclasses.asdict(recipe.method) | dataclasses.asdict(recipe.budget) | {"steps": recipe.taken}


def _of_post(recipe: Recipe) -> dict[str, Any]:
    """Return what the post-calibration is given: ``path.strength`` and the like."""
    post = recipe.post
    return {} if post is None else {f"{post.name}.{k}": v for k, v in dataclasses.asdict(post).items()}


def _tunable(name: str, value: Any) -> bool:
    """Whether a value is a positive number on a scale; a seed is a name, however it is spelled."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return number and name.rpartition(".")[2] != "seed"


def _with(item: Any, given: dict[str, float]) -> Any:
    """Return a copy of a dataclass with those of ``given`` that are its fields."""
    names = {field.name for field in dataclasses.fields(item) if field.init}
    return dataclasses.replace(item, **{k: v for k, v in given.items() if k in names})
