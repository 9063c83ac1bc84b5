"""What every registered step transform promises; a new step is held to it without a line here."""

from __future__ import annotations

import dataclasses
import inspect
import math

import pytest
import torch

from audit.core.registry import canonical
from audit.methods.base import METHODS, STEPS, Transform
from audit.models.digests import weight_digest
from audit.models.layers import linears
from audit.models.scope import parse_scope
from audit.models.training import Budget, train
from audit.models.update import GradientStep, UpdateStep, dot

NAMES = STEPS.names()


def test_the_model_knows_both_sides(knowing, lab):
    assert lab.recall(knowing, lab.forget) > 0.9
    assert lab.recall(knowing, lab.retain) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_a_frozen_record_that_prints_as_its_constructor(name):
    step = STEPS[name]()
    assert dataclasses.is_dataclass(step)
    assert STEPS.build(canonical(step)) == step
    with pytest.raises(dataclasses.FrozenInstanceError):
        step.name = "other"


@pytest.mark.parametrize("name", NAMES)
def test_a_step_works_somewhere_and_says_where_it_is_from(name):
    step = STEPS[name]()
    assert isinstance(step, Transform)
    assert isinstance(step, GradientStep | UpdateStep)
    assert step.source.startswith("arXiv:")
    assert step.source in (inspect.getmodule(type(step)).__doc__ or "")
    assert step.evidence in ("paper", "reproduced", "experimental")
    assert step.needs <= {"forget", "retain"}
    assert 1 <= step.cost < 100
    assert step.never


@pytest.mark.parametrize("name", NAMES)
def test_a_step_defaults_to_plain_values_that_no_budget_word_hides(name):
    fields = dataclasses.fields(STEPS[name])
    assert all(isinstance(getattr(STEPS[name](), f.name), int | float | str | bool) for f in fields)
    assert not {f.name for f in fields} & {f.name for f in dataclasses.fields(Budget)}


@pytest.mark.parametrize("name", NAMES)
def test_the_step_really_changed_the_update(name, knowing, lab):
    """Updates against a retain term too light to hold its own: the sides conflict."""
    text = "graddiff(steps=3, retain_weight=0.01)"
    plain, changed = (lab.run(text + step, knowing) for step in ("", f" + {name}"))
    gaps = [
        float((a - b).abs().max())
        for a, b in zip(plain.network.parameters(), changed.network.parameters(), strict=True)
    ]
    assert max(gaps) > 1e-5  # the rate is 3e-4: more than rounding, less than a step


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_weights_and_the_given_model_is_untouched(name, knowing, lab):
    before = weight_digest(knowing)
    first, second = (lab.run(f"graddiff(steps=3) + {name}", knowing, seed=7) for _ in range(2))
    assert weight_digest(first) == weight_digest(second)
    assert weight_digest(first) != before == weight_digest(knowing)


@pytest.mark.parametrize("name", NAMES)
def test_no_updates_change_nothing(name, knowing, lab):
    made = lab.run(f"graddiff(steps=0) + {name} @lora(4)", knowing)
    assert weight_digest(lab.run(f"graddiff(steps=0) + {name}", knowing)) == weight_digest(knowing)
    assert weight_digest(made.merged()) == weight_digest(knowing)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_only_the_scope_moves(name, architecture, knowing, knowing_gpt2, lab):
    model = knowing if architecture == "llama" else knowing_gpt2
    before = lab.weights(model)
    after = lab.weights(lab.run(f"graddiff(steps=3, weight_decay=0.1) + {name} @layers(0:1).mlp", model))
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved
    assert all((".layers.0.mlp." in key) or (".h.0.mlp." in key) for key in moved)


@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_leaves_the_base_bit_identical_and_learns(name, knowing, lab):
    made = lab.run(f"graddiff(steps=3) + {name} @lora(4)", knowing)
    before, after = lab.weights(knowing), lab.weights(made)
    assert made.has_adapter
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert any(w.abs().sum() > 0 for key, w in after.items() if "lora_B" in key)


BUDGETS = {"all": "lr=0.001, steps=20", "lora(8)": "lr=0.01, steps=30"}


@pytest.fixture(scope="module")
def drift(knowing, lab):
    """Return scope -> what the retain term alone leaves of the forgotten answers."""
    made = {s: lab.run(f"graddiff({b}, forget_weight=0) @{s}", knowing) for s, b in BUDGETS.items()}
    return {scope: lab.recall(model, lab.forget) for scope, model in made.items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scope", BUDGETS)
def test_the_forgotten_answers_are_given_up(name, scope, knowing, lab, drift):
    """Less than half is left, and two answers of eight less than where the retain term alone drifts."""
    made = lab.run(f"graddiff({BUDGETS[scope]}) + {name} @{scope}", knowing)
    after = lab.recall(made, lab.forget)
    assert after < 0.5 * lab.recall(knowing, lab.forget)
    assert after < drift[scope] - 2 / 8


@pytest.mark.parametrize("name", [n for n in NAMES if n != "sure"])
def test_before_sure_a_step_still_changes_the_update_and_only_the_chosen_neurons_move(name, knowing, lab):
    text = "graddiff(steps=3, retain_weight=0.1, weight_decay=0.1)"
    alone, made = (lab.run(f"{text}{step} + sure(share=0.1)", knowing) for step in ("", f" + {name}"))
    assert float((vector(made) - vector(alone)).abs().max()) > 1e-5  # as above
    moved, neurons = moved_neurons(knowing, made)
    assert 0 < moved <= 0.1 * neurons + 1


def vector(model):
    return torch.nn.utils.parameters_to_vector(model.network.parameters())


def moved_neurons(before, after):
    """Return how many output units have a weight that moved, and how many there are."""
    transposed = {linear.name for linear in linears(before.network) if linear.transposed}
    old, moved, neurons = dict(before.network.named_parameters()), 0, 0
    for name, weight in after.network.named_parameters():
        changed = weight != old[name]
        units = changed.T if name.removesuffix(".weight") in transposed else changed
        rows = units.reshape(len(units), -1).any(1)
        moved, neurons = moved + int(rows.sum()), neurons + len(rows)
    return moved, neurons


def test_a_neuron_of_gpt2_is_an_output_unit_of_its_transposed_projections(knowing_gpt2, lab):
    made = lab.run("graddiff(steps=3, weight_decay=0.1) + sure(share=0.1)", knowing_gpt2)
    moved, neurons = moved_neurons(knowing_gpt2, made)
    assert 0 < moved <= 0.1 * neurons + 1


def test_a_hard_null_space_projection_shields_the_retain_answers(knowing, lab):
    """The same ascent with and without: what retain sequences send through the projections hardly changes."""
    free, shielded = (
        lab.run(f"ga(lr=0.003, steps=10){step} @layers(0:1).mlp", knowing)
        for step in ("", " + nullspace(relaxation=0, threshold=0.0001)")
    )
    known = lab.recall(knowing, lab.retain)
    assert known - lab.recall(free, lab.retain) > 0.2
    assert known - lab.recall(shielded, lab.retain) < 0.02
    assert lab.recall(shielded, lab.forget) < lab.recall(knowing, lab.forget)


class Watch:
    """Looks at every move and at the retain gradient it was made with."""

    def __init__(self):
        self.cosines = []

    def transform(self, update, forget, retain):
        self.retain = retain
        return forget, retain

    def correct(self, update, proposed):
        self.cosines.append(dot(proposed, self.retain) / (norm(proposed) * norm(self.retain)))
        return proposed


def norm(tensors):
    return math.sqrt(dot(tensors, tensors))


@pytest.mark.parametrize("scope", ["all", "lora(4)"])
def test_under_gu_no_step_of_a_real_run_raises_the_retain_loss_to_first_order(scope, knowing, lab):
    """AdamW with momentum and clipping; without gu some steps do go uphill on the retain loss."""
    budget = Budget(lr=1e-3, steps=8, batch=8, retain_weight=0.01)
    steepest = []
    for steps in ([], [STEPS.build("gu")]):
        watch = Watch()
        train(
            knowing.clone(),
            METHODS.build("graddiff"),
            lab.forget,
            lab.retain,
            budget,
            scope=parse_scope(scope),
            steps=[*steps, watch],
        )
        steepest.append(max(watch.cosines))
    assert steepest[0] > 0.05
    assert steepest[1] < 1e-3
