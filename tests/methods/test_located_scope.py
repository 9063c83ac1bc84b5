"""A scope found in the data: which parts it takes, that nothing else moves, and who may not use it."""

from __future__ import annotations

import pytest
import torch

from audit.attacks.base import ATTACKS
from audit.core.errors import AuditError
from audit.core.seeds import derive
from audit.methods.compose import canonical_recipe, parse_recipe, run_recipe
from audit.models.digests import weight_digest
from audit.models.localisation import attribution, parts, tracing
from audit.models.localisation_pairs import pairs
from audit.models.scope import parse_scope
from audit.models.training import Example


@pytest.fixture
def start(away):
    """A random Llama of two blocks, and questions of which some have a partner of equal length."""
    context = away(frozenset())
    return context.model, list(context.forget_examples), list(context.retain_examples)


def inside(model, names):
    found = parts(model.network)
    return {id(weight) for name in names for weight in found[name].parameters()}


def changed(model, made):
    after = dict(made.network.named_parameters())
    return {id(w) for name, w in model.network.named_parameters() if not torch.equal(w, after[name])}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("located", "located(share=0.25, by=attribution)"),
        ("located(0.5)", "located(share=0.5, by=attribution)"),
        ("located( share=1, by=tracing )", "located(share=1.0, by=tracing)"),
    ],
)
def test_a_recipe_writes_the_scope_out(text, written):
    scope = parse_scope(text, locate=True)
    assert str(scope) == written
    assert parse_scope(written, locate=True) == scope
    assert f" @{written} > uwc(" in canonical_recipe(f"npo @{text} > uwc(0.5)")


@pytest.mark.parametrize(
    "text", ["located(0)", "located(1.5)", "located(true)", "located(by=luck)", "located(parts=2)"]
)
def test_wrong_parameters_are_refused(text):
    with pytest.raises(AuditError, match="E112"):
        parse_recipe(f"npo @{text}")


def test_only_a_recipe_can_locate():
    with pytest.raises(AuditError, match="E294"):
        parse_scope("located(0.25)")
    with pytest.raises(AuditError, match="E294"):
        ATTACKS.build("relearn(steps=[1], scope='located(0.25)')")


def test_a_scope_that_was_not_resolved_moves_nothing(start):
    model, _, _ = start
    with pytest.raises(ValueError, match="not resolved"):
        parse_scope("located", locate=True).apply(model)


@pytest.mark.parametrize("by", ["attribution", "tracing"])
@pytest.mark.parametrize(("share", "count"), [(0.25, 1), (0.5, 2), (0.6, 3), (1.0, 4)])
def test_it_takes_the_parts_with_the_largest_effects_on_the_forget_set(start, by, share, count):
    model, forget, retain = start
    digest = weight_digest(model)
    scope = parse_scope(f"located({share}, by={by})", locate=True).resolved(model, forget, retain, 3)
    given = pairs(model, forget, retain)
    effects = (
        attribution(model, given) if by == "attribution" else tracing(model, given, seed=derive(3, "located"))
    )
    assert scope.modules == effects.largest(share)
    assert len(scope.modules) == count
    assert weight_digest(model) == digest
    scope.apply(model)
    assert {id(w) for w in model.network.parameters() if w.requires_grad} == inside(model, scope.modules)


@pytest.mark.parametrize("method", ["npo(steps=2)", "graddiff(steps=2) + pcgrad", "task_vector(steps=2)"])
@pytest.mark.parametrize("by", ["attribution", "tracing"])
def test_everything_outside_the_located_parts_stays_bit_identical(start, method, by):
    model, forget, retain = start
    before = weight_digest(model)
    recipe = parse_recipe(f"{method} @located(0.25, by={by})")
    made = run_recipe(recipe, model, forget, retain, 0)
    (name,) = recipe.scope.resolved(model, forget, retain, 0).modules
    moved = changed(model, made)
    assert moved
    assert moved <= inside(model, [name])
    assert weight_digest(model) == before
    assert weight_digest(run_recipe(recipe, model, forget, retain, 0)) == weight_digest(made)


def test_a_planted_part_is_what_a_recipe_moves(start):
    """Of all attentions only the second block's is not silent: nothing else brings the question to the answer."""
    model, forget, retain = start
    with torch.no_grad():
        for name, module in parts(model.network).items():
            if name != "1.attention":
                for weight in module.parameters():
                    weight.zero_()
    made = run_recipe(parse_recipe("ga(steps=1) @located(0.25)"), model, forget, retain, 0)
    assert changed(model, made) <= inside(model, ["1.attention"])
    assert changed(model, made)


def test_questions_without_any_partner_say_so(start):
    model, forget, _ = start
    alone = [Example("r", "where " * 20, "w3")]
    with pytest.raises(AuditError, match="E293"):
        run_recipe(parse_recipe("npo(steps=1) @located"), model, forget, alone, 0)


def test_all_scopes_but_located_are_their_own_resolution(start):
    model, forget, retain = start
    for text in ("all", "lora(2)", "layers(0:1).mlp"):
        assert parse_scope(text).resolved(model, forget, retain, 0) == parse_scope(text)
