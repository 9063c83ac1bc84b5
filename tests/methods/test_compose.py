"""Recipe texts: what they mean, how they are written back, what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.core.errors import AuditError
from audit.methods.base import METHODS
from audit.methods.compose import canonical_recipe, parse_recipe
from audit.methods.table import methods_table


def test_budget_words_go_to_the_budget_and_the_rest_to_the_method():
    recipe = parse_recipe("npo(beta=0.2, lr=0.001, steps=180) @lora(16)")
    assert (recipe.method.beta, recipe.budget.lr, recipe.budget.steps) == (0.2, 0.001, 180)
    assert str(recipe.scope) == "lora(16)"


def test_the_canonical_text_writes_every_default_and_parses_to_itself():
    text = canonical_recipe("npo(lr=0.001)")
    assert text.startswith("npo(beta=0.1, lr=0.001, steps=")
    assert text.endswith("@all")
    assert canonical_recipe(text) == text


def test_whole_numbers_and_spaces_do_not_make_another_recipe():
    assert canonical_recipe("npo( beta = 1,steps=60.0)@all") == canonical_recipe("npo(beta=1.0, steps=60)")


def test_the_short_text_holds_what_differs_from_the_defaults():
    assert parse_recipe("npo(lr=0.001, beta=0.1) @all").short == "npo(lr=0.001)"
    assert parse_recipe("npo @lora(8)").short == "npo @lora(8)"


@pytest.mark.parametrize("name", METHODS.names())
@given(
    lr=st.floats(1e-8, 1.0),
    steps=st.integers(0, 10_000),
    scope=st.sampled_from(["all", "lora(4)", "layers(0:2).mlp"]),
)
def test_writing_and_parsing_are_inverse(name, lr, steps, scope):
    recipe = parse_recipe(f"{name}(lr={lr!r}, steps={steps}) @{scope}")
    assert (recipe.budget.lr, recipe.budget.steps, str(recipe.scope)) == (lr, steps, scope)
    assert parse_recipe(str(recipe)) == recipe == parse_recipe(recipe.short)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("npoo", "E110", "did you mean 'npo'"),
        ("npo(step=3)", "E112", "did you mean 'steps'"),
        ("npo(betta=3)", "E112", "did you mean 'beta'"),
        ("npo(beta=high)", "E112", "not a finite float"),
        ("npo(steps=1.5)", "E112", "not a finite int"),
        ("npo(steps=true)", "E112", "not a finite int"),
        ("npo(1, 2)", "E112", "takes 1 values"),
        ("npo(0.1, beta=0.2)", "E112", "twice"),
        ("ga(retain_weight=1)", "E112", "graddiff"),
        ("ga(forget_weight=0)", "E112", "one of them positive"),
        ("npo + gu", "E111", "form"),
        ("npo(", "E111", "form"),
        ("", "E111", "form"),
    ],
)
def test_a_wrong_recipe_is_a_coded_error_with_its_remedy(text, code, words):
    with pytest.raises(AuditError) as caught:
        parse_recipe(text)
    assert caught.value.code == code
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["npo @lorra(8)", "npo @", "npo @lora(0)"])
def test_a_wrong_scope_is_a_coded_error(text):
    with pytest.raises(AuditError):
        parse_recipe(text)


@pytest.mark.parametrize(
    "words", ["lr=0", "lr=-1", "steps=-1", "batch=0", "forget_weight=-1", "clip=-1", "lr=1e999"]
)
def test_a_budget_outside_its_range_is_a_coded_error(words):
    with pytest.raises(AuditError, match="E1"):
        parse_recipe(f"npo({words})")


def test_the_table_has_one_complete_row_per_method():
    rows = methods_table()
    assert [row.name for row in rows] == METHODS.names()
    assert all(row.summary and row.family and row.source and row.cost > 0 and row.budget for row in rows)
    assert {row.kind for row in rows} == {"objective", "edit"}
