"""What of the laboratory differs for a method of ``methods.py`` that declares a need which the usual one does not meet."""

from __future__ import annotations

from typing import Any

from audit.core.errors import AuditError
from audit.methods.compose import parse_recipe
from audit.plan.sizes import LABORATORY_SIZES

REFERENCES = ("original", "retrained")
TRAININGS = {
    "slices": "sisa",
    "adapter": "adapter",
}  # need of an exact method -> training of the original that meets it


def ground_of(base: str, subject: str) -> dict[str, Any]:
    """Return the plan fields that differ for the recipe ``base``: none for most, and none for a refused one.

    Tune subjects are taken from those that would stay sealed, so that the persons are as many and as many are opened.
    """
    try:
        recipe = parse_recipe(base)
    except AuditError:
        return {}
    ground: dict[str, Any] = {}
    for need in sorted(recipe.method.needs & TRAININGS.keys()):
        ground["laboratory"] = {"subject": subject, "training": TRAININGS[need]}
    for side in sorted(recipe.post.needs if recipe.post is not None else ()):
        usual = LABORATORY_SIZES[subject][side]
        if not usual["tune"]:
            ground.setdefault("sizes", {})[side] = {"tune": usual["sealed"], "sealed": 0}
    return ground


def references_of(ground: dict[str, Any]) -> dict[str, str]:
    """Return role -> name of its row; references of a laboratory trained in another way have rows of their own."""
    training = ground.get("laboratory", {}).get("training")
    return {role: f"{role} ({training})" if training else role for role in REFERENCES}


def is_reference(name: str) -> bool:
    """Return whether a row is of a reference: ``original``, or ``original (sisa)`` of a laboratory trained so."""
    return name.split(" (")[0] in REFERENCES
