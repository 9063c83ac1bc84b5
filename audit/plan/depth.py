"""Whether every recipe's scope names layers that the model has, before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

from audit.methods.compose import parse_recipe
from audit.models.laboratory import LaboratorySpec
from audit.plan.schema import Given, Plan

_NAMES = ("num_hidden_layers", "n_layer", "num_layers")  # as config.json files call it
_SMOLLM2 = 30


def check_scopes(plan: Plan) -> None:
    """Raise E209 for a candidate whose layers the model does not have; nothing where the depth is unknown."""
    depth = layers_of(plan)
    for item in plan.candidates:
        if depth is not None and not isinstance(item, Given):
            parse_recipe(item).scope.check(depth)


def layers_of(plan: Plan) -> int | None:
    """Return the number of blocks of the model to unlearn; None where its configuration does not say."""
    if plan.laboratory is not None:
        subject = plan.laboratory.subject
        sizes = {"tiny": LaboratorySpec.tiny, "lab": LaboratorySpec, "large": LaboratorySpec.large}
        return sizes[subject]().layers if subject in sizes else _SMOLLM2
    return None if plan.model is None else _from_config(plan.model / "config.json")


def _from_config(path: Path) -> int | None:
    if not path.is_file():
        return None  # loading says what is wrong with the directory
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    if not isinstance(config, dict):
        return None
    inner = config.get("text_config")
    text = inner if isinstance(inner, dict) else config
    found = [text[name] for name in _NAMES if isinstance(text.get(name), int)]
    return found[0] if found else None
