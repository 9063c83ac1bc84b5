"""Sweeps in a plan: every combination becomes a candidate of its own before anything is locked."""

from pathlib import Path

import pytest
import yaml

from audit.core.errors import AuditError
from audit.methods.compose import canonical_recipe, parse_recipe
from audit.methods.trajectory import trainings
from audit.plan.feasibility import assess
from audit.plan.grid import MOST, expand, recipes
from audit.plan.lock import make_lock, read_lock, write_lock
from audit.plan.schema import load_plan, parse_plan
from audit.plan.template import template

LABORATORY = {
    "laboratory": {"subject": "tiny"},
    "budget": {"forget": 0.5, "utility": 0.5},
    "attacks": ["none"],
}


def refused(text):
    with pytest.raises(AuditError) as caught:
        expand([yaml.safe_load(text)])
    return caught.value.code


def test_a_sweep_is_every_combination_and_the_last_parameter_runs_fastest():
    made = recipes(yaml.safe_load("{sweep: npo, lr: {log: [1e-5, 1e-3], n: 3}, steps: [30, 50]}"))
    found = [(r.budget.lr, r.budget.steps) for r in map(parse_recipe, made)]
    assert found == [(1e-5, 30), (1e-5, 50), (1e-4, 30), (1e-4, 50), (1e-3, 30), (1e-3, 50)]


def test_a_sweep_keeps_what_stands_around_its_method():
    made = recipes({"sweep": "npo * guard(temperature=0.5) + gu @lora(4) > path(0.9)", "lr": [1e-4, 2e-4]})
    assert made == [
        f"npo(lr={lr}) * guard(temperature=0.5) + gu @lora(4) > path(strength=0.9)" for lr in (0.0001, 0.0002)
    ]


def test_a_log_range_has_equal_ratios_and_a_linear_one_equal_steps():
    (log, linear) = (
        [parse_recipe(text).budget.lr for text in recipes({"sweep": "ga", "lr": {kind: [2.0, 32], "n": 5}})]
        for kind in ("log", "linear")
    )
    assert log == [2, 4, 8, 16, 32]
    assert linear == [2, 9.5, 17, 24.5, 32]


def test_whole_ends_give_whole_numbers():
    made = recipes({"sweep": "ga", "steps": {"log": [10, 40], "n": 3}})  # 10, 20, 40
    assert [parse_recipe(text).budget.steps for text in made] == [10, 20, 40]
    halves = recipes({"sweep": "ga", "steps": {"linear": [1, 4], "n": 4}})
    assert [parse_recipe(text).budget.steps for text in halves] == [1, 2, 3, 4]


def test_only_what_is_counted_is_rounded_whole_however_the_ends_are_written():
    """1, 2.5, 4 and 1, sqrt(10), 10 and quarters; steps written with a point are whole all the same."""
    weights = recipes({"sweep": "npo", "retain_weight": {"linear": [1, 4], "n": 3}})
    assert [parse_recipe(text).budget.retain_weight for text in weights] == [1, 2.5, 4]
    rates = recipes({"sweep": "npo", "lr": {"log": [1, 10], "n": 3}})
    assert [parse_recipe(text).budget.lr for text in rates] == [1, 3.16, 10]
    path = recipes({"sweep": "npo", "path": {"linear": [0, 1], "n": 5}})
    assert [parse_recipe(text).post.strength for text in path] == [0, 0.25, 0.5, 0.75, 1]
    steps = recipes({"sweep": ["npo", "ga"], "steps": {"log": ["1e1", 1e3], "n": 4}})
    assert [parse_recipe(text).budget.steps for text in steps] == [10, 46, 215, 1000] * 2
    points = recipes({"sweep": "fit", "requests": {"linear": [1, 4], "n": 3}, "path": 1})
    assert [parse_recipe(text).method.requests for text in points] == [1, 2, 4]  # 2.5 to the even one


def test_a_base_that_needs_what_is_swept_is_read_with_it():
    made = recipes({"sweep": "npo at 60", "steps": [90, 120]})
    assert [(parse_recipe(text).at, parse_recipe(text).budget.steps) for text in made] == [
        (60, 90),
        (60, 120),
    ]


@pytest.mark.parametrize("name", ["lr", "steps", "beta", "path"])
def test_a_number_beyond_all_numbers_is_refused_and_not_written_out(name):
    far = 10**400
    for given in ([far], {"linear": [1, far], "n": 3}, {"linear": [1, 2], "n": far}):
        with pytest.raises(AuditError) as caught:
            recipes({"sweep": "npo", name: given})
        assert caught.value.code in ("E270", "E271", "E272")
        assert len(str(caught.value)) < 300


def test_a_trajectory_speaks_of_its_steps_and_not_of_a_recipe_nobody_wrote():
    with pytest.raises(AuditError) as caught:
        recipes({"sweep": "npo", "steps": [30, 1.5], "trajectory": True})
    assert caught.value.code == "E464"
    assert "`steps` of a trajectory holds 1.5" in caught.value.cause
    assert recipes({"sweep": "npo", "steps": [30.0, 90], "trajectory": True})[0] == "npo(steps=90) at 30"


def test_a_narrow_range_keeps_as_many_digits_as_tell_its_values_apart():
    made = recipes({"sweep": "ga", "lr": {"linear": [1000.1, 1000.3], "n": 3}})
    assert [parse_recipe(text).budget.lr for text in made] == [1000.1, 1000.2, 1000.3]


def test_a_parameter_of_the_method_is_swept_like_one_of_the_budget_and_a_word_like_a_number():
    made = recipes({"sweep": "graddiff(steps=7)", "retain": ["nll", "kl"], "batch": 8})
    assert [(r.method.retain, r.budget.steps, r.budget.batch) for r in map(parse_recipe, made)] == [
        ("nll", 7, 8),
        ("kl", 7, 8),
    ]


def test_several_recipes_share_one_grid_and_keep_steps_scope_and_post():
    made = recipes({"sweep": ["npo + gu @lora(4) > path(0.5)", "ga"], "lr": [1e-4, 2e-4]})
    assert [canonical_recipe(text) for text in made] == [
        canonical_recipe(text)
        for text in (
            "npo(lr=1e-4) + gu @lora(4) > path(0.5)",
            "npo(lr=2e-4) + gu @lora(4) > path(0.5)",
            "ga(lr=1e-4)",
            "ga(lr=2e-4)",
        )
    ]


def test_what_is_no_sweep_stays_as_it_is_and_in_its_place():
    items = ["npo", {"sweep": "ga", "steps": [1, 2]}, {"given": "folder"}]
    assert expand(items) == ["npo", "ga(steps=1)", "ga(steps=2)", {"given": "folder"}]
    assert expand("npo") == "npo"  # the schema says what is wrong with it


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{sweep: npo, lr: {log: [1e-5, 1e-3], n: 26}, steps: [1, 2, 3, 4]}", "E270"),  # 104
        ("{sweep: npo, lr: {log: [1e-5, 1e-3], n: 1000000000}}", "E270"),
        ("{sweep: 3}", "E271"),
        ("{sweep: []}", "E271"),
        ("{sweep: [npo, 3]}", "E271"),
        ("{sweep: npo, steps: []}", "E271"),
        ("{sweep: npo, steps: [null]}", "E271"),
        ("{sweep: npo, lr: [.nan]}", "E271"),
        ("{sweep: npo, lr: ['1), ga(']}", "E271"),
        ("{sweep: npo, 3: [1]}", "E271"),
        ("{sweep: npo, lr: {log: [0, 1], n: 3}}", "E272"),
        ("{sweep: npo, lr: {log: [-1, 1], n: 3}}", "E272"),
        ("{sweep: npo, lr: {log: [1, .inf], n: 3}}", "E272"),
        ("{sweep: npo, lr: {log: [1e-3, 1e-5], n: 3}}", "E272"),
        ("{sweep: npo, lr: {log: [1e-5, 1e-3], n: 1}}", "E272"),
        ("{sweep: npo, lr: {log: [1e-5, 1e-3], n: true}}", "E272"),
        ("{sweep: npo, lr: {log: [1e-5, 1e-3, 1], n: 3}}", "E272"),
        ("{sweep: npo, lr: {log: [1e-5, 1e-3]}}", "E272"),
        ("{sweep: npo, lr: {log: [1e-5, 1e-3], linear: [1, 2], n: 3}}", "E272"),
        ("{sweep: npo, lr: {logg: [1e-5, 1e-3], n: 3}}", "E272"),
        ("{sweep: npo, steps: [30, 30.0]}", "E273"),
        ("{sweep: [npo, npo]}", "E273"),
        ("{sweep: npo, steps: {linear: [1, 3], n: 5}}", "E274"),
        ("{sweep: npo(lr=1e-4), lr: [1e-5]}", "E112"),
        ("{sweep: npo, lrr: [1e-5]}", "E112"),
        ("{sweep: npo, steps: [1.5]}", "E112"),
        ("{sweep: npoo, lr: [1e-5]}", "E110"),
    ],
)
def test_a_sweep_that_means_nothing_is_refused(text, code):
    assert refused(text) == code


def test_the_largest_sweep_that_is_allowed_is_made():
    assert len(recipes({"sweep": "ga", "steps": list(range(1, MOST + 1))})) == MOST


def test_the_lock_lists_every_recipe_and_reads_back(tmp_path):
    sweep = {"sweep": "npo", "lr": {"log": ["1e-4", "1e-2"], "n": 3}, "steps": [30, 50]}
    lock = make_lock(parse_plan(LABORATORY | {"candidates": ["ga", sweep]}, base=tmp_path), tmp_path)
    expected = ["ga", *(f"npo(lr={lr}, steps={n})" for lr in ("1e-4", "1e-3", "1e-2") for n in (30, 50))]
    assert lock.configurations == [canonical_recipe(text) for text in expected]
    spelled = make_lock(parse_plan(LABORATORY | {"candidates": expected}, base=tmp_path), tmp_path)
    assert lock.digest == spelled.digest
    write_lock(tmp_path / "run", lock)
    assert read_lock(tmp_path / "run").plan == lock.plan


def test_a_recipe_that_stands_alone_and_in_a_sweep_is_refused_by_the_lock(tmp_path):
    candidates = ["ga(steps=2)", {"sweep": "ga", "steps": [1, 2]}]
    with pytest.raises(AuditError) as caught:
        make_lock(parse_plan(LABORATORY | {"candidates": candidates}, base=tmp_path), tmp_path)
    assert caught.value.code == "E113"


def test_the_assessment_counts_every_recipe_and_says_what_is_swept(tmp_path):
    sweep = {"sweep": ["npo", "simnpo"], "lr": [1e-4, 1e-3], "steps": [30, 50]}
    found = assess(parse_plan(LABORATORY | {"candidates": ["ga", sweep]}, base=tmp_path))
    assert found.candidates == 9
    assert found.sweeps == ("4 of npo over lr, steps", "4 of simnpo over lr, steps")
    assert any("4 of npo over lr, steps" in line for line in found.lines())


def test_the_templates_sweep_can_be_switched_on(tmp_path):
    text = template().replace("# - {sweep", "- {sweep")
    (tmp_path / "audit.yaml").write_text(text, encoding="utf-8")
    plain = template()
    (tmp_path / "plain.yaml").write_text(plain, encoding="utf-8")
    more = len(load_plan(tmp_path / "audit.yaml").candidates) - len(
        load_plan(tmp_path / "plain.yaml").candidates
    )
    assert more == 6


def test_the_plans_of_the_guide_are_what_it_says(tmp_path):
    """Six, two by two, four, two and one; three checkpoints and three points of one training; four in an order."""
    guide = (Path(__file__).parents[2] / "docs/how-to/sweep.md").read_text(encoding="utf-8")
    written = [yaml.safe_load(part.split("```")[0]) for part in guide.split("```yaml\n")[1:]]
    grid, shared, path, futile = written
    assert len(parse_plan(LABORATORY | grid, base=tmp_path).candidates) == 6 + 4 + 4 + 2 + 1
    found = assess(parse_plan(LABORATORY | shared, base=tmp_path))
    assert (found.candidates, found.trainings) == (6, 1)
    assert "6 candidates from 1 training under" in found.lines()[0]
    lab = {"laboratory": {"subject": "lab"}, **path}
    assert assess(parse_plan(lab, base=tmp_path)).order == "tune"
    assert parse_plan(LABORATORY | grid | futile, base=tmp_path).futility


def test_a_trajectory_is_one_training_whose_checkpoints_are_candidates():
    made = recipes(yaml.safe_load("{sweep: npo @lora(8), lr: [1, 2], steps: [30, 90, 60], trajectory: true}"))
    assert made == [
        f"npo(lr={lr}, steps=90) @lora(8){at}" for lr in (1.0, 2.0) for at in (" at 30", "", " at 60")
    ]
    planned = trainings(map(parse_recipe, made))
    assert [one.checkpoints for one in planned.values()] == [(30, 60, 90)] * 2
    assert recipes({"sweep": "npo", "steps": [30, 90], "trajectory": False}) == [
        "npo(steps=30)",
        "npo(steps=90)",
    ]


def test_a_checkpoint_that_was_given_comes_from_none_of_the_plans_trainings(tmp_path):
    def first_line(*candidates):
        plan = parse_plan(LABORATORY | {"candidates": list(candidates)}, base=tmp_path)
        return assess(plan).lines()[0]

    (tmp_path / "there").mkdir()
    for file in ("config.json", "model.safetensors"):
        (tmp_path / "there" / file).touch()
    assert first_line("npo", {"given": "there"}).startswith("2 candidates under")
    shared = first_line("npo", "npo at 30", {"given": "there"})
    assert shared.startswith("3 candidates, 2 of them from 1 training under")


def test_a_post_calibration_is_swept_by_its_name():
    made = recipes(yaml.safe_load("{sweep: npo, path: {linear: [0.25, 0.75], n: 3}, steps: 5}"))
    assert made == [f"npo(steps=5) > path(strength={s})" for s in (0.25, 0.5, 0.75)]
    (training,) = trainings(map(parse_recipe, made)).values()
    assert training.whole


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{sweep: npo, trajectory: true}", "E467"),
        ("{sweep: npo, steps: 60, trajectory: true}", "E467"),
        ("{sweep: npo, steps: [30, 60], trajectory: 2}", "E467"),
        ("{sweep: npo, steps: [thirty, sixty], trajectory: true}", "E467"),
        ("{sweep: npo, steps: [30, 60, true], trajectory: true}", "E467"),
        ("{sweep: npo, steps: [30.5, 60], trajectory: true}", "E464"),
        ("{sweep: task_vector, steps: [30, 60], trajectory: true}", "E465"),
        ("{sweep: npo, steps: [0, 60], trajectory: true}", "E466"),
        ("{sweep: npo at 3, steps: [30, 60], trajectory: true}", "E468"),
        ("{sweep: npo > path, path: [0.5, 1]}", "E468"),
        ("{sweep: npo, path: 0.5, uwc: 0.9}", "E468"),
    ],
)
def test_a_trajectory_or_a_path_that_means_nothing_is_a_coded_error(text, code):
    assert refused(text) == code


def test_a_recipe_cut_at_its_comma_is_told_to_stand_in_quotes():
    with pytest.raises(AuditError) as caught:
        recipes(yaml.safe_load("{sweep: npo(lr=0.1, steps=90), beta: [1, 2]}"))
    assert (caught.value.code, "quotes" in caught.value.remedy) == ("E271", True)
