"""Sweeps: what a curve may join, and the recipe a suggestion is written as."""

import numpy as np

from audit.methods.compose import canonical_recipe, parse_recipe
from audit.plan.sweeps import sweeps


def named(*recipes):
    return tuple(map(canonical_recipe, recipes))


def test_a_sweep_joins_recipes_that_differ_in_positive_numbers_only():
    names = named("npo(lr=1e-4, steps=30)", "npo(lr=3e-4, steps=60)", "npo(lr=3e-4, steps=30)")
    (found,) = sweeps(names)
    assert found.label == "npo"
    assert found.names == names
    assert found.parameters == ("lr", "steps")
    assert found.whole == (False, True)
    np.testing.assert_array_equal(found.values, [[1e-4, 30], [3e-4, 60], [3e-4, 30]])


def test_methods_words_scopes_and_zeros_set_sweeps_apart_and_name_them():
    names = named(
        "graddiff(retain=nll, lr=1e-4)",
        "graddiff(retain=kl, lr=1e-4)",
        "graddiff(retain=kl, lr=3e-4, weight_decay=0.1)",
        "ga(lr=1e-4)",
        "ga(lr=1e-4) @lora(16)",
    )
    labels = [sweep.label for sweep in sweeps(names)]
    assert labels == [
        "graddiff(retain=nll, weight_decay=0.0)",
        "graddiff(retain=kl, weight_decay=0.0)",
        "graddiff(retain=kl, weight_decay>0)",
        "ga @all",
        "ga @lora(16)",
    ]


def test_what_is_no_recipe_belongs_to_no_sweep():
    assert sweeps((f"given({'ab' * 32})", "tofu_Llama-3_NPO", "no_such_method(lr=1)")) == ()


def test_a_suggested_setting_is_a_recipe_that_a_plan_accepts():
    (found,) = sweeps(named("npo(beta=0.2, lr=1e-4, steps=30)", "npo(beta=0.2, lr=3e-4, steps=60)"))
    recipe = parse_recipe(found.recipe((2e-4, 45.0)))
    assert (recipe.budget.lr, recipe.budget.steps, recipe.method.beta) == (2e-4, 45, 0.2)
    assert isinstance(recipe.budget.steps, int)


def test_checkpoints_of_a_training_and_shorter_trainings_lie_on_one_curve_over_the_steps_taken():
    names = named("npo(steps=90) at 30", "npo(steps=90) at 60", "npo(steps=90)", "npo(steps=15)")
    (found,) = sweeps(names)
    assert found.parameters == ("steps",)
    np.testing.assert_array_equal(found.values[:, 0], [30, 60, 90, 15])
    assert found.recipe((60.0,)) == "npo(steps=90) at 60"  # one that was tried, by its name
    assert found.recipe((45.0,)) == "npo(steps=45)"


def test_checkpoints_at_one_step_keep_it_where_something_else_varies():
    (found,) = sweeps(named("npo(lr=1e-4, steps=90) at 30", "npo(lr=4e-4, steps=90) at 30"))
    assert found.parameters == ("lr",)
    assert found.recipe((2e-4,)) == "npo(lr=0.0002, steps=90) at 30"


def test_strengths_of_a_path_lie_on_one_curve_and_other_post_calibrations_beside_it():
    names = named("npo > path(0.25)", "npo > path(0.5)", "npo", "npo > uwc(0.9)")
    path, plain, uwc = sweeps(names)
    assert (path.names, path.parameters) == (names[:2], ("path.strength",))
    assert path.recipe((0.375,)) == "npo > path(strength=0.375)"
    assert (plain.names, uwc.names) == (names[2:3], names[3:])
    assert [sweep.label for sweep in (path, plain, uwc)] == ["npo @all > path", "npo @all", "npo @all > uwc"]


def test_seeds_are_names_and_no_curve_joins_them():
    found = sweeps(named("retrain(seed=1)", "retrain(seed=2)", "retrain(seed=3)"))
    assert [(sweep.label, sweep.parameters) for sweep in found] == [
        (f"retrain(seed={seed})", ()) for seed in (1, 2, 3)
    ]
