"""What every registered edit promises; a new edit is held to it without a line here."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
import torch

from audit.core.errors import AuditError
from audit.core.registry import canonical
from audit.methods.base import METHODS, Edit, default_budget, kind, spends
from audit.methods.compose import Recipe, parse_recipe, run_recipe
from audit.methods.edits import k_fade
from audit.models.batches import forward_answer_logits
from audit.models.curvature import batches
from audit.models.digests import weight_digest
from audit.models.scope import Scope
from audit.models.sliced import parts_of
from audit.models.training import Budget

NAMES = [name for name in METHODS.names() if kind(METHODS[name]()) in ("edit", "driver")]
AGAIN = [name for name in NAMES if "training" in METHODS[name]().needs]
ON_ADAPTERS = [name for name in NAMES if METHODS[name]().needs & {"adapter", "training"}]
PLAIN = [name for name in NAMES if name not in ON_ADAPTERS]


@pytest.fixture
def start(knowing, base_and_adapted, in_slices):
    """Return the model a method starts from: one with an adapter, or with its training, where it needs that."""
    others = dict.fromkeys(ON_ADAPTERS, base_and_adapted[1]) | dict.fromkeys(AGAIN, in_slices)
    return lambda name: others.get(name, knowing)


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_is_a_frozen_record_that_prints_as_its_constructor(name):
    edit = METHODS[name]()
    assert isinstance(edit, Edit)
    assert METHODS.build(canonical(edit)) == edit
    with pytest.raises(dataclasses.FrozenInstanceError):
        edit.name = "other"


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_says_where_it_is_from_and_what_it_costs(name):
    cls = METHODS[name]
    assert cls.source in (inspect.getmodule(cls).__doc__ or "")
    assert cls.evidence in ("paper", "reproduced", "experimental")
    assert cls.family
    assert 0 < cls.cost < 100
    own = {field.name for field in dataclasses.fields(cls)}
    assert not own & {field.name for field in dataclasses.fields(Budget)}


@pytest.mark.parametrize("name", NAMES)
def test_a_budget_word_that_an_edit_does_not_use_is_refused(name):
    used = spends(METHODS[name])
    for field in dataclasses.fields(Budget):
        if field.name in used:
            assert f"{field.name}=" in str(parse_recipe(name))
        else:
            assert f"{field.name}=" not in str(parse_recipe(name))
            with pytest.raises(AuditError, match="E112"):
                parse_recipe(f"{name}({field.name}=1)")


# Edits whose default leaves more than half of the answers of this model: what is asked of them instead, and why.
INSTEAD = {
    "task_vector": (
        "task_vector(scale=2)",
        0.5,
        "60 steps at the default rate learn half of what is known by heart",
    ),
    "u_can": ("u_can(threshold=0.1)", 2 / 3, "forget and retain answers are busy in the same units here"),
    "loss_curvature": (
        "loss_curvature",
        2 / 3,
        "it is made for text that few weights hold, all of this model's are busy",
    ),
    "rule": (
        "rule",
        2 / 3,
        "it stops where refusals are rewarded often enough, and the answers stay likely beside them",
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_forgotten_answers_are_given_up_after_the_default_budget(name, start, lab):
    model = start(name)
    text, most, _ = INSTEAD.get(name, (name, 0.5, ""))
    assert lab.recall(model, lab.forget) > 0.9
    assert lab.recall(lab.run(text, model), lab.forget) < most


@pytest.mark.parametrize("name", INSTEAD)
def test_what_is_asked_for_instead_of_a_default_is_still_needed(name, start, lab):
    assert lab.recall(lab.run(name, start(name)), lab.forget) > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_weights_and_the_given_model_is_untouched(name, start, lab):
    before = weight_digest(start(name).merged())
    first, second = (weight_digest(lab.run(name, start(name), seed=7).merged()) for _ in range(2))
    assert first == second != before == weight_digest(start(name).merged())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scope", ["all", "layers(0:1).mlp", "lora(4)"])
def test_an_edit_of_zero_strength_is_the_identity(name, scope, start, lab):
    model, edit = start(name), METHODS[name]().zero()
    if (scope == "lora(4)" and not edit.adapts) or (scope != "all" and name in ON_ADAPTERS):
        return
    recipe = Recipe(
        edit, dataclasses.replace(default_budget(METHODS[name]), steps=3), parse_recipe(f"ga @{scope}").scope
    )
    made = run_recipe(recipe, model, lab.forget, lab.retain, 0)
    assert weight_digest(made.merged()) == weight_digest(model.merged())


@pytest.mark.parametrize("name", [n for n in NAMES if "steps" in spends(METHODS[n])])
def test_an_edit_without_a_budget_changes_nothing(name, knowing, lab):
    assert weight_digest(lab.run(f"{name}(steps=0)", knowing)) == weight_digest(knowing)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_only_the_scope_moves(name, architecture, knowing, knowing_gpt2, lab):
    model = knowing if architecture == "llama" else knowing_gpt2
    before, after = lab.weights(model), lab.weights(lab.run(f"{name} @layers(0:1).mlp", model))
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved
    assert all((".layers.0.mlp." in key) or (".h.0.mlp." in key) for key in moved)
    assert all(torch.isfinite(weight).all() for weight in after.values())


@pytest.mark.parametrize("name", [n for n in PLAIN if not METHODS[n].adapts])
def test_an_edit_of_weights_that_are_there_refuses_an_empty_adapter(name):
    with pytest.raises(AuditError, match="E265"):
        parse_recipe(f"{name} @lora(4)")


@pytest.mark.parametrize("name", [n for n in PLAIN if METHODS[n].adapts])
def test_an_edit_that_fits_an_adapter_leaves_the_base_bit_identical(name, knowing, lab):
    made = lab.run(f"{name}(steps=3) @lora(4)", knowing)
    before, after = lab.weights(knowing), lab.weights(made)
    assert made.has_adapter
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert any(w.abs().sum() > 0 for key, w in after.items() if "lora_B" in key)


@pytest.mark.parametrize("name", [n for n in PLAIN if "retain" in METHODS[n]().needs])
def test_an_edit_that_compares_with_retain_sequences_says_when_there_are_none(name, knowing, lab):
    with pytest.raises(AuditError, match="E269"):
        run_recipe(parse_recipe(name), knowing, lab.forget, (), 0)


@pytest.mark.parametrize("name", [n for n in PLAIN if "retain" not in METHODS[n]().needs])
def test_an_edit_that_needs_no_retain_set_looks_at_none(name, knowing, lab):
    text = f"{name}(steps=2)"
    with_retain, without = (
        weight_digest(run_recipe(parse_recipe(text), knowing, lab.forget, retain, 0))
        for retain in (lab.retain, ())
    )
    assert with_retain == without


def test_dropping_an_adapter_gives_the_base_back_bit_by_bit(base_and_adapted, lab):
    """Exact by construction: the answers learned in the adapter are gone, the weights are the base's."""
    base, adapted = base_and_adapted
    made = lab.run("adapter_drop", adapted)
    assert not made.has_adapter
    assert weight_digest(made) == weight_digest(base)
    assert lab.recall(made, lab.forget) == lab.recall(base, lab.forget) < 0.1


def test_half_an_adapter_is_half_its_difference(base_and_adapted, lab):
    base, adapted = (lab.weights(model.merged()) for model in base_and_adapted)
    half = lab.weights(lab.run("adapter_drop(share=0.5)", base_and_adapted[1]).merged())
    for key in base:
        torch.testing.assert_close(
            half[key], base[key] + 0.5 * (adapted[key] - base[key]), atol=1e-6, rtol=1e-5
        )


def test_without_an_adapter_there_is_nothing_to_drop(knowing, lab):
    with pytest.raises(AuditError, match="E267"):
        lab.run("adapter_drop", knowing)


@pytest.mark.parametrize("name", AGAIN)
def test_a_training_done_again_without_the_forgotten_is_exact_bit_by_bit(name, in_slices, lab):
    """The weights are those of the same training that never had the forgotten sequences to leave out."""
    training = in_slices.training
    expected = training.how.fit(training.base, training.known, [training.before, training.late])
    made = lab.run(name, in_slices)
    assert weight_digest(made) == weight_digest(expected)
    assert lab.recall(made, lab.forget) < 0.1 < 0.5 < lab.recall(made, lab.retain)


@pytest.mark.parametrize("name", AGAIN)
def test_a_training_that_nobody_knows_cannot_be_done_again(name, knowing, lab):
    with pytest.raises(AuditError, match="E231"):
        lab.run(name, knowing)


def test_slices_before_the_first_forgotten_one_stay_as_they_are(in_slices, lab):
    before, after = (parts_of(model, [True, True]) for model in (in_slices, lab.run("sisa", in_slices)))
    assert all(torch.equal(before[0][key], after[0][key]) for key in before[0])
    assert any(not torch.equal(before[1][key], after[1][key]) for key in before[1])


def test_attenuation_of_a_model_with_an_adapter_leaves_the_base_alone(base_and_adapted, lab):
    _, adapted = base_and_adapted
    before, after = lab.weights(adapted), lab.weights(lab.run("u_can", adapted))
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved
    assert all("lora_B" in key for key in moved)


@pytest.mark.parametrize("name", ["k_fade", "loss_curvature", "u_can"])
def test_a_scope_without_projections_is_refused(name, knowing, lab, monkeypatch):
    monkeypatch.setattr(Scope, "apply", lambda self, model, seed=0: model.network.requires_grad_(False))
    with pytest.raises(AuditError, match="E267"):
        lab.run(name, knowing)


def distributions(model, examples):
    with torch.no_grad():
        (batch,) = batches(model, examples, len(examples))
        return forward_answer_logits(model.network, batch).log_softmax(-1), batch.targets


@pytest.mark.parametrize("allowed", [0.001, 0.05])
def test_a_k_fade_step_forgets_within_the_divergence_it_is_allowed(allowed, knowing, lab):
    made = lab.run(f"k_fade(divergence={allowed}, steps=1)", knowing)
    (before, _), (after, _) = (distributions(model, lab.retain) for model in (knowing, made))
    measured = float((before.exp() * (before - after)).sum(-1).mean())
    assert 0.5 * allowed < measured <= allowed * 1.001
    (old, targets), (new, _) = (distributions(model, lab.forget) for model in (knowing, made))
    rise = float((old - new).gather(1, targets[:, None]).mean())
    assert rise > 2 * measured  # the forget answers pay, not the retain answers


def test_k_fade_leaves_projections_without_curvature_alone(knowing, lab):
    """Nothing of what enters the second feed-forward part gets out: its slope and its curvature are zero."""
    silent = knowing.clone()
    with torch.no_grad():
        silent.network.model.layers[1].mlp.down_proj.weight.zero_()
    before, after = lab.weights(silent), lab.weights(lab.run("k_fade(steps=1)", silent))
    assert all(torch.isfinite(weight).all() for weight in after.values())
    for name in ("gate_proj", "up_proj"):
        key = f"model.layers.1.mlp.{name}.weight"
        assert torch.equal(before[key], after[key])
    assert not torch.equal(
        before["model.layers.0.mlp.up_proj.weight"], after["model.layers.0.mlp.up_proj.weight"]
    )


def test_k_fade_takes_no_step_in_any_direction_that_is_not_a_number(knowing, lab, monkeypatch):
    monkeypatch.setattr(k_fade.Spectrum, "divided", lambda self, slope: slope * float("nan"))
    assert weight_digest(lab.run("k_fade(steps=1)", knowing)) == weight_digest(knowing)


def test_k_fade_without_a_length_that_obeys_puts_every_bit_back(knowing, lab, monkeypatch):
    """Minus zero plus zero would be zero."""
    given = knowing.clone()
    with torch.no_grad():
        given.network.model.layers[0].mlp.up_proj.weight[0, 0] = -0.0
    tried = []
    monkeypatch.setattr(k_fade, "longest", lambda obeys, most: tried.append(obeys(most)) or 0.0)
    assert weight_digest(lab.run("k_fade(steps=1)", given)) == weight_digest(given)
    assert tried


def test_k_fade_looks_at_a_budgets_worth_of_retain_sequences_however_many_there_are(
    knowing, lab, monkeypatch
):
    """Two steps of batches of four: eight for the factors, twelve for every length; the forget side whole."""
    many = [dataclasses.replace(e, key=f"{e.key}{i}") for i in range(20) for e in lab.retain]
    seen = []

    def record(model, examples, size):
        seen.append(frozenset(e.key for e in examples))
        return batches(model, examples, size)

    monkeypatch.setattr(k_fade, "batches", record)
    run_recipe(parse_recipe("k_fade(steps=2, batch=4)"), knowing, lab.forget, many, 0)
    factors, *others = seen
    forget = frozenset(e.key for e in lab.forget)
    watched = [one for one in others if one != forget]
    assert len(factors) == 8
    assert {len(one) for one in watched} == {12}
    assert len(set(watched)) == 2  # drawn anew for every step
    assert others.count(forget) == 2
