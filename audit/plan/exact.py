"""Whether exact methods find what they need in a plan, before anything is trained."""

from __future__ import annotations

from audit.core.errors import AuditError
from audit.methods.compose import Recipe, parse_recipe
from audit.models.trainings import FULL, TRAININGS, few_for_shards
from audit.plan.schema import Given, Plan
from audit.plan.sizes import LABORATORY_SIZES, ResolvedSizes

_LABORATORY = "laboratory: {{subject: {subject}, training: {training}}}"


def check_exact(plan: Plan) -> None:
    """Raise E230, E231, E232 or E236 for an exact candidate that cannot be exact, or cannot be made, here.

    E245 for more shards than retained persons.
    """
    _refuse_empty_shards(plan)
    for item in plan.candidates:
        if isinstance(item, Given):
            continue
        recipe = parse_recipe(item)
        if recipe.method.family == "exact":
            _refuse_inexact(recipe)
            _refuse_missing(recipe.method.name, recipe.method.needs, plan)


def _refuse_empty_shards(plan: Plan) -> None:
    lab = plan.laboratory
    if lab is None or lab.training == FULL:
        return
    retain = ResolvedSizes.of(plan, LABORATORY_SIZES[lab.subject]).total("retain")
    shards = getattr(TRAININGS.build(lab.training), "shards", 1)
    if retain < shards:
        raise few_for_shards(retain, shards)


def _refuse_inexact(recipe: Recipe) -> None:
    """A part of the weights, or a mixture with the original, is no exact unlearning any more."""
    if recipe.post is not None or str(recipe.scope) != "all":
        raise AuditError(
            "E230",
            f"{recipe.method.name} gives whole weights, {recipe.short!r} would take a part of them",
            "leave the scope and the post-calibration out",
        )


def _refuse_missing(name: str, needs: frozenset[str], plan: Plan) -> None:
    lab = plan.laboratory
    if "training" in needs and lab is None and plan.training is None:
        raise AuditError(
            "E231",
            f"{name} does the original's training again, and the plan does not say how it was trained",
            "add `training: {base: ./base, epochs: 5, batch: 32, lr: 1e-5}`, or give the checkpoint: {given: PATH}",
        )
    if "slices" in needs and (lab is None or lab.training == FULL):
        raise AuditError(
            "E232",
            f"{name} goes back to the state before the forgotten, the original was trained on everybody at once",
            f"write `{_write(plan, 'sisa(slices=2)')}`, or sharded(shards=2)" if lab else "use retrain",
        )
    if "adapter" in needs and (not TRAININGS.build(lab.training).rank if lab else not _is_adapter(plan)):
        raise AuditError(
            "E236",
            f"{name} takes an adapter away, the original was trained in all its weights",
            f"write `{_write(plan, 'adapter')}`" if lab else "name the adapter's directory as `model`",
        )


def _write(plan: Plan, training: str) -> str:
    assert plan.laboratory is not None
    named = plan.laboratory.subject
    return _LABORATORY.format(subject="lab" if named == "smollm2" else named, training=training)  # E235 there


def _is_adapter(plan: Plan) -> bool:
    return plan.model is not None and (plan.model / "adapter_config.json").is_file()
