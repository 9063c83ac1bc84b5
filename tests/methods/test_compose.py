"""Recipe texts: what they mean, how they are written back, what they refuse."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.core.errors import AuditError
from audit.methods.base import METHODS, POSTS, STEPS, WEIGHTINGS, kind, spends
from audit.methods.compose import canonical_recipe, parse_recipe
from audit.methods.table import methods_table
from audit.models.training import Budget


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
    used = spends(METHODS[name])
    words = [f"{word}={value!r}" for word, value in (("lr", lr), ("steps", steps)) if word in used]
    if kind(METHODS[name]()) != "objective" and not METHODS[name].adapts:
        scope = "all"
    recipe = parse_recipe(f"{name}({', '.join(words)}) @{scope}")
    assert str(recipe.scope) == scope
    assert "lr" not in used or recipe.budget.lr == lr
    assert "steps" not in used or recipe.budget.steps == steps
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
        ("npo - gu", "E111", "form"),
        ("npo(", "E111", "form"),
        ("", "E111", "form"),
    ],
)
def test_a_wrong_recipe_is_a_coded_error_with_its_remedy(text, code, words):
    with pytest.raises(AuditError) as caught:
        parse_recipe(text)
    assert caught.value.code == code
    assert words in str(caught.value)


def test_steps_scope_and_post_calibration_stand_around_the_method():
    recipe = parse_recipe("npo(lr=0.001) + sam(0.02) + pcgrad @layers(0:2).mlp > uwc(0.9)")
    assert [step.name for step in recipe.steps] == ["sam", "pcgrad"]
    assert recipe.steps[0].rho == 0.02
    assert str(recipe.scope) == "layers(0:2).mlp"
    assert recipe.post.retention == 0.9


def test_the_canonical_text_writes_every_default_of_every_part():
    text = canonical_recipe("graddiff + sam > path")
    assert text.startswith("graddiff(retain=nll, lr=")
    assert text.endswith(") + sam(rho=0.01) @all > path(strength=1.0)")
    assert canonical_recipe(text) == text


def test_the_short_text_leaves_out_the_defaults_of_every_part():
    text = "npo(lr=0.001) + gu + sam(rho=0.02) @lora(8) > uwc(retention=0.9)"
    assert parse_recipe(text).short == text
    assert parse_recipe("graddiff + gu(8) @all > uwc(0.95)").short == "graddiff + gu > uwc"


def test_spaces_and_whole_numbers_make_no_other_composition():
    assert canonical_recipe("graddiff+sam(1)@lora(4)>path(2)") == canonical_recipe(
        " graddiff + sam(rho=1.0) @ lora(4) > path(strength=2.0) "
    )


@pytest.mark.parametrize("step", STEPS.names())
@pytest.mark.parametrize("post", POSTS.names())
def test_a_composition_reads_back_from_both_its_texts(step, post):
    recipe = parse_recipe(f"graddiff + {step} @layers(0:1) > {post}")
    assert parse_recipe(str(recipe)) == recipe == parse_recipe(recipe.short)


@pytest.mark.parametrize("weighting", WEIGHTINGS.names())
def test_a_weighting_stands_behind_the_method_and_reads_back_from_both_texts(weighting):
    recipe = parse_recipe(f"npo*{weighting}+gu@lora(4)>uwc(0.9)")
    assert recipe.weighting == WEIGHTINGS[weighting]()
    assert recipe.short == f"npo * {weighting} + gu @lora(4) > uwc(retention=0.9)"
    assert parse_recipe(str(recipe)) == recipe == parse_recipe(recipe.short)


def test_the_canonical_text_writes_out_the_weighting_and_says_nothing_where_there_is_none():
    budget = "lr=0.0003, steps=60, batch=32, forget_weight=1.0, retain_weight=1.0, clip=1.0, weight_decay=0.0, warmup=0.0"
    plain = f"npo(beta=0.1, {budget})"
    assert canonical_recipe("npo + gu") == f"{plain} + gu(history=8) @all"
    assert canonical_recipe("npo * guard(2)") == f"{plain} * guard(temperature=2.0) @all"
    assert parse_recipe("npo * guard + gu @lora(4)").around == "* guard + gu @lora(4)"


def test_a_step_multiplies_the_cost_of_the_method():
    assert parse_recipe("graddiff + sam").cost == 1.5 * parse_recipe("graddiff").cost


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("npo + gru + guu", "E110", "did you mean 'gu'"),
        ("npo > uvc", "E110", "did you mean 'uwc'"),
        ("npo + sam(rhoo=1)", "E112", "did you mean 'rho'"),
        ("npo + sam(-1)", "E112", "rho must not be negative"),
        ("npo + sam(much)", "E112", "not a finite float"),
        ("npo > uwc(1, 2, 3, 4)", "E112", "takes 3 values"),
        ("npo + gu(", "E111", "form"),
        ("npo @lora(8) + gu", "E260", "method * weighting + step @scope > post-calibration"),
        ("npo + gu * guard", "E260", "stand as + *"),
        ("npo * guard * curriculum", "E260", "stand as * *"),
        ("npo *", "E260", "nothing stands behind *"),
        ("npo * guarrd", "E110", "did you mean 'guard'"),
        ("npo * guard(heat=2)", "E112", "no parameter 'heat'"),
        ("npo * guard(0)", "E112", "temperature must be positive"),
        ("npo * curriculum(first=last)", "E112", "first easy or hard"),
        ("npo * gu", "E261", "as + gu"),
        ("npo + guard", "E261", "behind the method, as * guard"),
        ("guard", "E261", "behind the method, as * guard"),
        ("task_vector * guard", "E220", "owns its training"),
        ("fit * curriculum", "E220", "owns its training"),
        ("npo(forget_weight=0) * curriculum", "E221", "forget_weight above 0"),
        ("npo > uwc @lora(8)", "E260", "stand as > @"),
        ("npo > uwc > path", "E260", "stand as > >"),
        ("npo @all @all", "E260", "stand as @ @"),
        ("npo +", "E260", "nothing stands behind +"),
        ("npo + gu + @all", "E260", "nothing stands behind +"),
        ("npo + uwc", "E261", "last, as > uwc"),
        ("npo > gu", "E261", "as + gu"),
        ("gu", "E261", "as + gu"),
        ("npo + graddiff", "E261", "write it first"),
        ("npo + gu + sam + gu", "E262", "once"),
        ("task_vector + gu", "E263", "edit"),
        ("ga + pcgrad", "E264", "ga computes none"),
        ("npo(retain_weight=0) + pcgrad", "E264", "retain_weight above 0"),
        ("npo(forget_weight=0) + sam", "E264", "forget_weight above 0"),
    ],
)
def test_a_senseless_composition_is_a_coded_error_with_its_remedy(text, code, words):
    with pytest.raises(AuditError) as caught:
        parse_recipe(text)
    assert caught.value.code == code
    assert words in str(caught.value)


def test_signs_inside_brackets_and_quotes_cut_nothing():
    with pytest.raises(AuditError) as caught:  # one call with a bad word, not five parts
        parse_recipe("graddiff(retain='kl + gu > uwc @all')")
    assert caught.value.code == "E112"


@pytest.mark.parametrize("text", ["npo @lorra(8)", "npo @", "npo @lora(0)"])
def test_a_wrong_scope_is_a_coded_error(text):
    with pytest.raises(AuditError):
        parse_recipe(text)


@pytest.mark.parametrize(
    "words",
    [
        *(
            "lr=0",
            "lr=-1",
            "lr=1e999",
            "steps=-1",
            "batch=0",
            "forget_weight=-1",
            "retain_weight=-1",
            "clip=-1",
        ),
        *(
            "weight_decay=-1",
            "weight_decay=1e999",
            "clip=1e999",
            "warmup=-0.1",
            "warmup=1.1",
            "retain_weight=1e999",
        ),
    ],
)
def test_a_budget_outside_its_range_is_a_coded_error(words):
    with pytest.raises(AuditError, match="E112"):
        parse_recipe(f"npo({words})")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Budget)])
def test_no_number_of_a_budget_may_be_negative_or_not_finite(name, value):
    with pytest.raises(ValueError, match="budget needs"):
        Budget(**{name: value})


@pytest.mark.parametrize(
    "text",
    ["rmu(c=0)", "rmu(c=-1)", "rmu_adaptive(beta=0)", "rmu_adaptive(beta=-1)", "srmu(c=0)", "srmu(c=-1)"],
)
def test_a_target_has_a_length(text):
    with pytest.raises(AuditError, match="E112"):
        parse_recipe(text)


def test_the_table_has_one_complete_row_per_method_weighting_step_and_post_calibration():
    rows = methods_table()
    assert [row.name for row in rows] == [*METHODS, *WEIGHTINGS, *STEPS, *POSTS]
    assert all(row.summary.endswith(".") and row.family and row.source and row.cost >= 0 for row in rows)
    assert {row.kind for row in rows} == {"objective", "edit", "driver", "weighting", "step", "post"}
    assert all(row.budget for row in rows if row.kind == "objective")
    assert all(bool(row.never) == (row.kind == "step") for row in rows)


def test_a_name_means_one_thing():
    names = [*METHODS, *WEIGHTINGS, *STEPS, *POSTS]
    assert len(set(names)) == len(names)


def test_the_budget_of_an_edit_in_the_table_is_what_it_uses():
    budgets = {row.name: set(row.budget) for row in methods_table()}
    assert budgets["ssd"] == {"steps", "batch"}
    assert budgets["adapter_drop"] == set()
    assert "lr" in budgets["npo"]
