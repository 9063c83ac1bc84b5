"""Which combinations of a method, a weighting, steps, a scope, a stop and data mean something, before any training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from audit.core.errors import AuditError
from audit.methods.base import Edit
from audit.methods.edits.reach import demand_retain
from audit.models.training import Example

if TYPE_CHECKING:
    from audit.methods.compose import Recipe


def refuse_senseless(recipe: Recipe) -> None:
    """Refuse combinations that name existing parts but mean nothing: E220, E221, E262 to E265, E295, E464 to E466."""
    method, budget, names = recipe.method, recipe.budget, [step.name for step in recipe.steps]
    if recipe.at is not None:
        _refuse_no_checkpoint(recipe, recipe.at)
    if len(set(names)) < len(names):
        raise AuditError("E262", f"steps are {', '.join(names)}", "name each step once")
    if isinstance(method, Edit):
        if names:
            raise AuditError(
                "E263",
                f"{method.name} is an edit, it has no updates for {names[0]} to change",
                "add steps to an objective such as npo",
            )
        if recipe.weighting is not None:
            raise AuditError(
                "E220",
                f"{method.name} owns its training, {recipe.weighting.name} cannot weigh its forget sequences",
                "put weightings on an objective such as npo",
            )
        if recipe.scope.kind == "lora" and not method.adapts:
            raise AuditError(
                "E265",
                f"{method.name} changes weights that are there, an adapter begins empty",
                f"leave @{recipe.scope} out",
            )
        return
    terms = {
        "forget": budget.forget_weight > 0,
        "retain": budget.retain_weight > 0 and "retain" in method.needs,
    }
    if recipe.weighting is not None and not terms["forget"]:
        raise AuditError(
            "E221",
            f"{recipe.weighting.name} weighs forget sequences, forget_weight is 0",
            "give a forget_weight above 0 or leave the weighting out",
        )
    for step in recipe.steps:
        for side in sorted(step.needs):
            if not terms[side]:
                raise AuditError(
                    "E264",
                    f"{step.name} works on the {side} gradient, {method.name} computes none here",
                    f"choose a method with a {side} term, such as graddiff, and a {side}_weight above 0",
                )
    _refuse_lost(recipe.steps)


def demand_sequences(recipe: Recipe, retain: Sequence[Example]) -> None:
    """Refuse a training that has to see retain sequences where there are none; E269.

    Nothing would hold what is not to be forgotten: graddiff would be plain ascent, and a step that protects the
    retain gradient would find none.
    """
    method, budget = recipe.method, recipe.budget
    if isinstance(method, Edit):
        return  # it says so itself
    used = {
        method.name: ("retain" in method.needs and budget.retain_weight > 0)
        or ("feature_means" in method.needs and budget.forget_weight > 0),
        **{
            part.name: "retain" in part.needs
            for part in (recipe.weighting, *recipe.steps)
            if part is not None
        },
    }
    for name in (name for name, uses in used.items() if uses):
        demand_retain(retain, name)


def _refuse_lost(steps: Sequence[Any]) -> None:
    """Refuse a step that takes the gradients afresh behind one whose changes to them would be lost."""
    for number, step in enumerate(steps):
        lost = [before for before in steps[:number] if before.gradients != "kept"]
        if step.gradients != "afresh" or not lost:
            continue
        rival = next((before for before in lost if before.gradients == "afresh"), None)
        before = rival or lost[0]
        raise AuditError(
            "E295",
            f"{step.name} takes the gradients afresh, what {before.name} did with them would be lost",
            f"leave {before.name} or {step.name} out" if rival else f"write {step.name} before {before.name}",
        )


def _refuse_no_checkpoint(recipe: Recipe, at: int) -> None:
    if isinstance(recipe.method, Edit):
        raise AuditError(
            "E465", f"{recipe.method.name} is an edit, it has no weights at step {at}", "leave `at` out"
        )
    if not 1 <= at <= recipe.budget.steps:
        raise AuditError(
            "E466",
            f"a training of {recipe.budget.steps} steps has no checkpoint at {at}",
            f"name a step from 1 to {recipe.budget.steps}, or train longer",
        )
