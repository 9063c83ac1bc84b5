"""Recipes: a method, its budget and its scope as one line of text.

    npo(beta=0.1, lr=0.0003, steps=180) @lora(16)

Keywords that name a field of ``Budget`` go to the budget, all others to the method. What is not given takes
the method's default, and the canonical text writes everything back, so a changed default never changes an
old lock.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.core.errors import AuditError
from audit.core.progress import NullProgress, Progress
from audit.core.registry import Call, construct, parse_call
from audit.methods.base import METHODS, Edit, default_budget
from audit.models.load import LanguageModel
from audit.models.scope import Scope, parse_scope
from audit.models.training import Budget, Example, train


@dataclass(frozen=True)
class Recipe:
    """One candidate before it has weights."""

    method: Any  # a registered objective or edit, see audit.methods.base
    budget: Budget
    scope: Scope

    def __str__(self) -> str:
        """Return the canonical text: every parameter, every budget field, the scope."""
        return self._text(_values(self.method) | _values(self.budget), scope=True)

    @property
    def short(self) -> str:
        """Return the shortest text that parses to this recipe: for tables, never for keys."""
        usual = _values(type(self.method)()) | _values(default_budget(type(self.method)))
        chosen = {k: v for k, v in (_values(self.method) | _values(self.budget)).items() if v != usual[k]}
        return self._text(chosen, scope=str(self.scope) != "all")

    def _text(self, values: Mapping[str, Any], scope: bool) -> str:
        inside = ", ".join(f"{key}={_word(value)}" for key, value in values.items())
        call = f"{self.method.name}({inside})" if inside else self.method.name
        return f"{call} @{self.scope}" if scope else call


def parse_recipe(text: str) -> Recipe:
    """Return the recipe that ``text`` describes; nothing in it is evaluated.

    Raises
    ------
    AuditError: E110 unknown method, E111 not of the form, E112 a wrong parameter, and the scope's own.

    """
    head, at, tail = text.partition("@")
    call = parse_call(head)
    cls = METHODS[call.name]
    _refuse_unknown(call, [*_types(cls), *_types(Budget)])
    method = construct(cls, _only(call, cls), kind="method")
    budget = construct(Budget, _spending(call, method), kind="method")
    return Recipe(method, budget, parse_scope(tail.strip() if at else "all"))


def canonical_recipe(text: str) -> str:
    """Return the one text under which a recipe is known, with every default written out."""
    return str(parse_recipe(text))


def run_recipe(
    recipe: Recipe,
    model: LanguageModel,
    forget: Sequence[Example],
    retain: Sequence[Example],
    seed: int,
    progress: Progress | None = None,
) -> LanguageModel:
    """Return a new model unlearned by ``recipe``; the given one stays bit-identical."""
    made = model.clone()
    method, budget, scope = recipe.method, recipe.budget, recipe.scope
    if isinstance(method, Edit):
        method.apply(made, forget, retain, budget, scope, seed)
    else:
        train(
            made, method, forget, retain, budget, scope=scope, seed=seed, progress=progress or NullProgress()
        )
    return made


def _refuse_unknown(call: Call, known: list[str]) -> None:
    for key in call.keywords:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"{call.name} takes {', '.join(known)}"
            raise AuditError("E112", f"method {call.name} has no parameter {key!r}", hint)


def _only(call: Call, cls: Any) -> Call:
    """Return the part of a call that ``cls`` takes, in its annotated types: ``beta=1`` is ``beta=1.0``."""
    types = _types(cls)
    positional = tuple(_typed(call.name, *pair) for pair in zip(types.items(), call.positional, strict=False))
    beyond = call.positional[len(positional) :]  # too many: ``construct`` says so
    keywords = {k: _typed(call.name, (k, types[k]), v) for k, v in call.keywords.items() if k in types}
    return Call(call.name, positional + beyond, keywords)


def _spending(call: Call, method: Any) -> Call:
    """Return the call that builds the budget, with the method's own defaults under what is given."""
    given = Call(call.name, (), {**method.budget_defaults, **call.keywords})
    spending = _only(given, Budget)
    plain = dataclasses.asdict(Budget())
    forget, retain = (spending.keywords.get(side, plain[side]) for side in ("forget_weight", "retain_weight"))
    if retain and "retain" not in method.needs:
        raise AuditError(
            "E112",
            f"method {call.name} uses no retain set, got retain_weight={retain}",
            "leave retain_weight out or choose a method with a retain term, such as graddiff",
        )
    if min(forget, retain) < 0 or not forget + retain:
        raise AuditError(
            "E112",
            f"method {call.name}: weights are {forget} (forget) and {retain} (retain)",
            "give weights >= 0, one of them positive",
        )
    return spending


def _typed(method: str, parameter: tuple[str, str], value: Any) -> Any:
    name, wanted = parameter
    if wanted not in ("float", "int"):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (wanted == "int" and value != int(value)):
        raise AuditError(
            "E112", f"method {method}: {name} is {value!r}, not a finite {wanted}", "give a number"
        )
    return float(value) if wanted == "float" else int(value)


def _types(cls: Any) -> dict[str, str]:
    return {field.name: str(field.type) for field in dataclasses.fields(cls) if field.init}


def _values(item: Any) -> dict[str, Any]:
    return {name: getattr(item, name) for name in _types(type(item))}


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else repr(value)
