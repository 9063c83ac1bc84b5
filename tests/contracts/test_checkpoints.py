"""What every registered objective and step promises of its trainings: looking at a checkpoint changes nothing."""

from __future__ import annotations

import pytest

from audit.methods.base import METHODS, STEPS, kind
from audit.methods.compose import parse_recipe, run_recipe
from audit.models.checkpoints import Checkpoints
from audit.models.digests import weight_digest

OBJECTIVES = [name for name in METHODS if kind(METHODS[name]()) == "objective"]
SETTINGS = "steps=3, lr=0.003, batch=4, warmup=1.0"
TEXTS = [
    *(f"{name}({SETTINGS})" for name in OBJECTIVES),
    *(f"graddiff({SETTINGS}) + {step}" for step in STEPS),
    f"graddiff({SETTINGS}) @lora(4)",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_checkpoint_is_the_training_stopped_there_and_the_end_is_as_if_nobody_had_looked(
    text, knowing, lab
):
    kept = {}
    look = Checkpoints((2, 3), lambda step, model: kept.update({step: weight_digest(model)}))
    whole = run_recipe(parse_recipe(text), knowing, lab.forget, lab.retain, 0, callbacks=(look,))
    assert weight_digest(whole) == kept[3] == weight_digest(lab.run(text, knowing))
    assert kept[2] == weight_digest(lab.run(f"{text} at 2", knowing))
    assert kept[2] != kept[3]
