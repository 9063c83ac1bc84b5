"""What every registered weighting promises; a new one is held to it without a line here."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
import torch

from audit.core.errors import AuditError
from audit.core.registry import canonical
from audit.methods.base import METHODS, WEIGHTINGS, Emphasis
from audit.models.digests import weight_digest
from audit.models.training import Budget, Context, train

NAMES = WEIGHTINGS.names()
SHARES = (0.0, 0.3, 0.99)


def weights(weighting, model, forget, retain, seed=0):
    """Return the weights of one run, asked in order, at ``SHARES`` of its steps, shape (3, F)."""
    copy = model.clone()
    copy.network.requires_grad_(True)
    context = Context(copy, forget, retain, seed)
    return np.array([weighting.weights(context, share) for share in SHARES])


def trained(model, lab, weighting, seed=0):
    made = model.clone()
    budget = Budget(lr=1e-3, steps=5, batch=3)
    train(made, METHODS.build("graddiff"), lab.forget, lab.retain, budget, seed=seed, weighting=weighting)
    return weight_digest(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_weighting_is_a_frozen_record_that_prints_as_its_constructor(name):
    weighting = WEIGHTINGS[name]()
    assert isinstance(weighting, Emphasis)
    assert WEIGHTINGS.build(canonical(weighting)) == weighting
    with pytest.raises(dataclasses.FrozenInstanceError):
        weighting.name = "other"


@pytest.mark.parametrize("name", NAMES)
def test_a_weighting_says_where_it_is_from_and_what_it_costs(name):
    weighting = WEIGHTINGS[name]()
    module = inspect.getmodule(type(weighting)).__doc__ or ""
    assert all(source in module for source in weighting.source.split(", "))
    assert weighting.source.startswith("arXiv:")
    assert weighting.evidence in ("paper", "reproduced", "experimental")
    assert weighting.needs <= {"retain"}
    assert 0 <= weighting.cost < 100


@pytest.mark.parametrize("name", NAMES)
def test_a_weighting_defaults_to_plain_values_that_no_budget_word_hides(name):
    fields = dataclasses.fields(WEIGHTINGS[name])
    assert all(isinstance(getattr(WEIGHTINGS[name](), f.name), int | float | str | bool) for f in fields)
    assert not {f.name for f in fields} & {f.name for f in dataclasses.fields(Budget)}


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_not_negative_have_mean_one_and_differ(name, knowing, lab):
    found = weights(WEIGHTINGS[name](), knowing, lab.forget, lab.retain)
    assert found.shape == (3, len(lab.forget))
    assert (found >= 0).all()
    np.testing.assert_allclose(found.mean(axis=1), 1, atol=1e-9)
    assert np.ptp(found[0]) > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_weights(name, knowing, lab):
    first, second = (weights(WEIGHTINGS[name](), knowing, lab.forget, lab.retain, seed=5) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_belongs_to_its_sequence_and_not_to_its_place(name, knowing, lab):
    ours = weights(WEIGHTINGS[name](), knowing, lab.forget, lab.retain)
    turned = weights(WEIGHTINGS[name](), knowing, lab.forget[::-1], lab.retain)
    np.testing.assert_allclose(ours, turned[:, ::-1], rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_retain_sequences_are_looked_at_only_where_the_weighting_says_so(name, knowing, lab):
    weighting = WEIGHTINGS[name]()
    if "retain" in weighting.needs:
        with pytest.raises(AuditError, match="E269"):
            weights(weighting, knowing, lab.forget, ())
    else:
        alone = weights(weighting, knowing, lab.forget, ())
        assert np.array_equal(alone, weights(weighting, knowing, lab.forget, lab.retain))


@pytest.mark.parametrize("name", NAMES)
def test_looking_leaves_the_model_as_it_was(name, knowing, lab):
    copy = knowing.clone()
    copy.network.requires_grad_(True)
    WEIGHTINGS[name]().weights(Context(copy, lab.forget, lab.retain, 0), 0.0)
    assert weight_digest(copy) == weight_digest(knowing)
    assert all(weight.grad is None for weight in copy.network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_an_even_weighting_is_no_weighting_bit_by_bit(name, knowing, lab):
    even = WEIGHTINGS[name]().even()
    assert (weights(even, knowing, lab.forget, lab.retain) == 1).all()
    assert trained(knowing, lab, even) == trained(knowing, lab, None)


@pytest.mark.parametrize("name", NAMES)
def test_it_changes_the_training_alike_for_the_same_seed(name, knowing, lab):
    before = weight_digest(knowing)
    first, second = (trained(knowing, lab, WEIGHTINGS[name](), seed=7) for _ in range(2))
    assert first == second != trained(knowing, lab, None, seed=7)
    assert weight_digest(knowing) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_only_the_scope_moves(name, architecture, knowing, knowing_gpt2, lab):
    model = knowing if architecture == "llama" else knowing_gpt2
    before = lab.weights(model)
    after = lab.weights(lab.run(f"graddiff(steps=3) * {name} @layers(0:1).mlp", model))
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved
    assert all((".layers.0.mlp." in key) or (".h.0.mlp." in key) for key in moved)


@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_leaves_the_base_bit_identical_and_learns(name, knowing, lab):
    made = lab.run(f"graddiff(steps=3) * {name} @lora(4)", knowing)
    before, after = lab.weights(knowing), lab.weights(made)
    assert made.has_adapter
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert any(w.abs().sum() > 0 for key, w in after.items() if "lora_B" in key)


@pytest.mark.parametrize("name", NAMES)
def test_the_forgotten_answers_are_given_up_with_steps_around_it(name, knowing, lab):
    """Less than half is left, and two answers of eight less than where the retain term alone drifts."""
    made = lab.run(f"npo(lr=0.001, steps=30) * {name} + gu > path(0.9)", knowing)
    drifted = lab.run("npo(lr=0.001, steps=30, forget_weight=0) > path(0.9)", knowing)
    after = lab.recall(made, lab.forget)
    assert after < 0.5 * lab.recall(knowing, lab.forget)
    assert after < lab.recall(drifted, lab.forget) - 2 / 8


@pytest.mark.parametrize("name", NAMES)
def test_no_steps_change_nothing(name, knowing, lab):
    assert weight_digest(lab.run(f"graddiff(steps=0) * {name}", knowing)) == weight_digest(knowing)
