"""Recipes: a method, a weighting, steps, a scope and a post-calibration as one line of text.

    npo(beta=0.1, lr=0.0003, steps=180) * guard + gu @lora(16) at 60 > uwc(0.95)

``* weighting`` decides how often each forget sequence is seen; ``+ step`` changes the updates of the step loop,
several from left to right; ``@scope`` says which weights may move; ``at 60`` takes the weights that this training of
180 steps has after 60 (with the rates and the seed of the whole: another candidate than a training of 60 steps);
``> post`` moves the finished model along a path that starts at the model before unlearning. Keywords of the method
that name a field of ``Budget`` go to the budget. What is not given takes its default, and the canonical text writes
everything back, so a changed default never changes an old lock.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import reprlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.core.errors import AuditError
from audit.core.progress import NullProgress, Progress
from audit.core.registry import Call, Registry, canonical, construct, parse_call, short
from audit.methods.base import METHODS, POSTS, STEPS, WEIGHTINGS, Edit, default_budget, spends
from audit.methods.grammar import split
from audit.methods.sense import demand_sequences, refuse_senseless
from audit.models.checkpoints import Checkpoints
from audit.models.load import LanguageModel
from audit.models.scope import Scope, parse_scope
from audit.models.training import Budget, Callback, Example, train


@dataclass(frozen=True)
class Recipe:
    """One candidate before it has weights."""

    method: Any  # a registered objective or edit, see audit.methods.base
    budget: Budget
    scope: Scope
    steps: tuple[Any, ...] = ()  # registered step transforms, applied from left to right
    post: Any = None  # a registered post-calibration
    weighting: Any = None  # a registered weighting
    at: int | None = None  # steps after which the training stops; None: it runs to its end

    def __str__(self) -> str:
        """Return the canonical text: every parameter, every budget field in use, the scope."""
        return self._text(self._values(), canonical, scope=True)

    @property
    def short(self) -> str:
        """Return the shortest text that parses to this recipe: for tables, never for keys."""
        usual = _values(type(self.method)()) | _values(default_budget(type(self.method)))
        chosen = {k: v for k, v in self._values().items() if v != usual[k]}
        return self._text(chosen, short, scope=str(self.scope) != "all")

    @property
    def around(self) -> str:
        """Return the text behind the method: weighting, steps, scope and post-calibration."""
        return " ".join([*self._before(short, scope=True), *self._behind(short)])

    @property
    def training(self) -> Recipe:
        """The whole training that this takes its weights from: without ``at`` and without post-calibration."""
        return dataclasses.replace(self, at=None, post=None)

    @property
    def taken(self) -> int:
        """Steps behind the weights."""
        return self.budget.steps if self.at is None else self.at

    @property
    def cost(self) -> float:
        """Forward-equivalents per step, graddiff = 1."""
        return self.method.cost * math.prod(step.cost for step in self.steps)

    def _values(self) -> dict[str, Any]:
        budget = _values(self.budget)
        return _values(self.method) | {name: budget[name] for name in spends(type(self.method))}

    def _text(self, values: Mapping[str, Any], write: Any, *, scope: bool) -> str:
        inside = ", ".join(f"{key}={_word(value)}" for key, value in values.items())
        call = f"{self.method.name}({inside})" if inside else self.method.name
        stop = [] if self.at is None else [f"at {self.at}"]
        return " ".join([call, *self._before(write, scope=scope), *stop, *self._behind(write)])

    def _before(self, write: Any, *, scope: bool) -> list[str]:
        weighting = [f"* {write(self.weighting)}"] if self.weighting is not None else []
        steps = [f"+ {write(step)}" for step in self.steps]
        return [*weighting, *steps, *([f"@{self.scope}"] if scope else [])]

    def _behind(self, write: Any) -> list[str]:
        return [f"> {write(self.post)}"] if self.post is not None else []


def parse_recipe(text: str) -> Recipe:
    """Return the recipe that ``text`` describes; nothing in it is evaluated.

    Raises
    ------
    AuditError: E110 an unknown part, E111 not of the form, E112 a wrong parameter, E260
        parts in the wrong order, E261 a part in another's place, E262 a step twice, E263 steps on an edit,
        E264 a step without the term it works on, E295 a step that undoes another, E265 an edit that fits no
        adapter, E220 a weighting on an edit, E221 a weighting without a forget term, E464 to E466 a step that the
        training does not stop after,
        and the scope's own.

    """
    parts = split(text)
    call = parse_call(parts.method)
    _refuse_misplaced(call.name, METHODS)
    cls = METHODS[call.name]
    _refuse_unknown(call, [*_types(cls), *spends(cls)])
    method = construct(cls, _only(call, cls, "method"), kind="method")
    recipe = Recipe(
        method,
        construct(Budget, _spending(call, method), kind="method"),
        parse_scope(parts.scope, locate=True),
        tuple(_built(part, STEPS) for part in parts.steps),
        _built(parts.post, POSTS) if parts.post else None,
        _built(parts.weighting, WEIGHTINGS) if parts.weighting else None,
        parts.at,
    )
    refuse_senseless(recipe)
    return dataclasses.replace(recipe, at=None) if recipe.at == recipe.budget.steps else recipe


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
    callbacks: Sequence[Callback] = (),
    tune: Sequence[Example] = (),
) -> LanguageModel:
    """Return a new model unlearned by ``recipe``; the given one stays bit-identical.

    AuditError E269 where it has to see retain sequences and there are none. ``callbacks`` look on at every step of a
    training; an edit has none. ``tune``: what a post-calibration looks at.
    """
    demand_sequences(recipe, retain)
    made = model.clone()
    method, budget = recipe.method, recipe.budget
    scope = recipe.scope.resolved(made, forget, retain, seed)
    if isinstance(method, Edit):
        method.apply(made, forget, retain, budget, scope, seed)
    else:
        train(
            made,
            method,
            forget,
            retain,
            budget,
            scope=scope,
            seed=seed,
            steps=recipe.steps,
            weighting=recipe.weighting,
            callbacks=callbacks if recipe.at is None else (*callbacks, Checkpoints((recipe.at,))),
            progress=progress or NullProgress(),
        )
    if recipe.post is not None:
        recipe.post.calibrate(model, made, tune, seed)
    return made


def _built(text: str, registry: Registry[Any]) -> Any:
    """Return the weighting, step or post-calibration of a constructor text."""
    call = parse_call(text)
    _refuse_misplaced(call.name, registry)
    cls = registry[call.name]
    return construct(cls, _only(call, cls, registry.kind), kind=registry.kind)


def _refuse_misplaced(name: str, wanted: Registry[Any]) -> None:
    places = {
        "method": "first",
        "weighting": f"behind the method, as * {name}",
        "step": f"as + {name}",
        "post-calibration": f"last, as > {name}",
    }
    for registry in (METHODS, WEIGHTINGS, STEPS, POSTS):
        if registry is not wanted and name not in wanted and name in registry:
            raise AuditError(
                "E261",
                f"{name!r} is a {registry.kind}, not a {wanted.kind}",
                f"write it {places[registry.kind]}",
            )


def _refuse_unknown(call: Call, known: list[str]) -> None:
    for key in call.keywords:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"{call.name} takes {', '.join(known)}"
            raise AuditError("E112", f"method {call.name} has no parameter {key!r}", hint)


def _only(call: Call, cls: Any, kind: str) -> Call:
    """Return the part of a call that ``cls`` takes, in its annotated types: ``beta=1`` is ``beta=1.0``.

    Of a method's call the budget takes the rest; of any other, what is left over stays and is refused.
    """
    types = _types(cls)
    name = f"{kind} {call.name}"
    positional = tuple(_typed(name, *pair) for pair in zip(types.items(), call.positional, strict=False))
    beyond = call.positional[len(positional) :]  # too many: ``construct`` says so
    keywords = {
        k: _typed(name, (k, types[k]), v) if k in types else v
        for k, v in call.keywords.items()
        if k in types or kind != "method"
    }
    return Call(call.name, positional + beyond, keywords)


def _spending(call: Call, method: Any) -> Call:
    """Return the call that builds the budget, with the method's own defaults under what is given."""
    given = Call(call.name, (), {**method.budget_defaults, **call.keywords})
    spending = _only(given, Budget, "method")
    if "retain_weight" not in spends(type(method)):
        return spending
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


def _typed(owner: str, parameter: tuple[str, str], value: Any) -> Any:
    name, wanted = parameter
    if wanted not in ("float", "int"):
        return value
    most = 2**53 if wanted == "int" else sys.float_info.max  # comparing, unlike math.isfinite, takes any int
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= most
    if not number or (wanted == "int" and value != int(value)):
        found = reprlib.repr(value)
        raise AuditError("E112", f"{owner}: {name} is {found}, not a finite {wanted}", "give a number")
    return float(value) if wanted == "float" else int(value)


def _types(cls: Any) -> dict[str, str]:
    return {field.name: str(field.type) for field in dataclasses.fields(cls) if field.init}


def _values(item: Any) -> dict[str, Any]:
    return {name: getattr(item, name) for name in _types(type(item))}


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else repr(value)
