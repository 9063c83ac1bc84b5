"""The benchmark of methods: which configuration stands for a method, and what is said about it."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from audit.methods.base import METHODS, POSTS, STEPS, WEIGHTINGS
from audit.methods.compose import canonical_recipe, parse_recipe
from audit.plan.sizes import LABORATORY_SIZES

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ground():
    return loaded("methods_ground")


@pytest.fixture(scope="module")
def table(ground):
    return loaded("methods_table")


@pytest.fixture(scope="module")
def benchmark(table):
    return loaded("methods")


def made(recovered=0.0, int4=0.0, relearned=0.0, harm=0.0, worst=0.2, failure="", name="npo"):
    values = {"none": recovered, "quantize(int4, group=64)": int4, "relearn(steps=[10], lr=0.1)": relearned}
    return {
        "recipe": name,
        "configuration": name,
        "failure": failure,
        "recovered": values,
        "cur": {attack: value + 0.05 for attack, value in values.items()},
        "worst_cur": worst,
        "harm": harm,
        "harm_upper": harm + 0.1,
        "cpu_seconds": 1.5,
        "peak_bytes": 3 * 2**20,
    }


def test_a_search_is_represented_by_the_setting_whose_worse_side_is_best(table):
    forgets_all = made(worst=0.05, harm=0.8, name="strong")
    middle = made(worst=0.3, harm=0.1, name="middle")
    keeps_all = made(worst=0.9, harm=0.0, name="weak")
    assert table.best([forgets_all, middle, keeps_all])["configuration"] == "middle"
    broken = made(worst=0.0, failure="E310 weights", name="broken")
    assert table.best([broken, keeps_all])["configuration"] == "weak"
    assert table.best([broken])["failure"] == "E310 weights"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "works"),
        ({"recovered": 0.1, "harm": 0.1}, "works"),
        ({"recovered": 0.1 + 0.2 - 0.2}, "works"),  # a tenth, up to rounding: 0.10000000000000003
        ({"int4": 0.11}, "works until attacked"),
        ({"relearned": 0.11}, "works until attacked"),
        ({"recovered": 0.11}, "does not forget"),
        ({"harm": 0.11}, "destroys what should stay"),
        ({"recovered": 0.11, "harm": 0.11}, "neither forgets nor keeps"),
    ],
)
def test_a_method_that_does_not_work_is_called_so(table, change, words):
    assert table.reading([made(**change)]) == words


def test_the_reading_is_of_means_over_seeds(table):
    assert table.reading([made(recovered=0.0), made(recovered=0.2)]) == "works"
    assert table.reading([made(recovered=0.0), made(recovered=0.3)]) == "does not forget"


def test_a_method_that_failed_under_one_seed_shows_no_numbers_and_stands_last(table):
    records = [
        {"method": "broken", "configurations": [made()]},
        {"method": "broken", "configurations": [made(failure="E310 3 weights | not finite")]},
        {"method": "weak", "configurations": [made(worst=0.9)]},
        {"method": "strong", "configurations": [made(worst=0.1)]},
        {"method": "original", "configurations": [made(worst=0.0)]},
    ]
    lines = table.lines(records)
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["strong", "weak", "broken", "original"]
    assert len({line.count("|") for line in lines}) == 1
    assert "no result: E310 3 weights / not finite" in lines[4]


def test_bounds_are_rounded_up_and_costs_are_those_of_the_dearest_seed(table):
    dear = made(recovered=1 / 3) | {"peak_bytes": 5 * 2**20, "cpu_seconds": 2.5}
    (line,) = table.lines([{"method": "m", "configurations": [c]} for c in (made(recovered=1 / 3), dear)])[2:]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[2:5] == ["0.333", "0.000", "0.384"]  # 1/3 + .05 = .38333…
    assert cells[7:9] == ["2.0", "5"]


def test_a_mean_of_equal_bounds_is_that_bound(table):
    """In binary the mean of three times 0.05 is 0.05000000000000001."""
    (line,) = table.lines([{"method": "m", "configurations": [made()]}] * 3)[2:]
    assert [cell.strip() for cell in line.split("|")[5:8]] == ["0.050"] * 3


def test_a_missing_attack_is_an_error_and_never_a_zero(table):
    with pytest.raises(ValueError, match="empty"):
        table.under({"none": 0.0}, "quantize")


def test_everything_registered_is_measured(benchmark):
    bases = benchmark.everything()
    assert set(METHODS) <= set(bases)
    used = {part for text in bases for part in text.replace("+", ">").replace("*", ">").split(" > ")[1:]}
    assert set(WEIGHTINGS) | set(STEPS) | set(POSTS) == used


def test_every_search_spends_the_same_steps_and_sequences(benchmark):
    for base in ("npo", "ga + sure", "task_vector", "npo @lora(16)"):
        recipes = [parse_recipe(text) for text in benchmark.search(base, benchmark.SIZES["full"])]
        assert [r.budget.lr for r in recipes] == list(benchmark.SIZES["full"].rates)
        assert {(r.budget.steps, r.budget.batch) for r in recipes} == {(60, 32)}


def test_methods_that_steer_representations_try_as_many_retain_weights_as_others_try_rates(benchmark):
    setting = benchmark.SIZES["full"]
    for base in benchmark.STEERING:
        recipes = [parse_recipe(text) for text in benchmark.search(base, setting)]
        assert [r.budget.retain_weight for r in recipes] == list(setting.weights)
        assert {r.budget.lr for r in recipes} == {max(setting.rates)}
        assert len(recipes) == len(setting.rates)


def test_the_setting_that_is_reported_is_the_best_of_the_tuning_seed(benchmark, tmp_path):
    found = [made(worst=0.9, name="npo(lr=0.0001)"), made(worst=0.1, name="npo(lr=0.001)")]
    benchmark.keep(tmp_path, "npo", benchmark.SIZES["quick"], benchmark.TUNING_SEED, found)
    benchmark.keep(tmp_path, "npo", benchmark.SIZES["quick"], benchmark.TUNING_SEED + 1, found[:1])
    assert benchmark.best_of(tmp_path, "npo", benchmark.SIZES["quick"]) == "npo(lr=0.001)"


def test_results_are_kept_apart_by_seed_method_and_setting(benchmark, tmp_path):
    places = {
        benchmark.place(tmp_path, base, setting, seed)
        for base in ("npo", "npo + gu", "npo > gu")
        for setting in (benchmark.SIZES["full"], benchmark.SIZES["quick"])
        for seed in (0, 1)
    }
    assert len(places) == 12


def test_where_every_strength_comes_back_whole_the_one_that_looks_best_unattacked_stands(table):
    weak = made(recovered=1.0, int4=1.0, worst=1.0, name="weak")
    hidden = made(recovered=0.0, int4=1.0, worst=1.0, harm=0.2, name="hidden")
    ruined = made(recovered=0.0, int4=1.0, worst=1.0, harm=0.7, name="ruined")
    assert table.best([weak, ruined, hidden])["configuration"] == "hidden"


def test_records_of_another_setting_are_not_taken_for_those_that_are_wanted(benchmark, tmp_path):
    quick, weak = benchmark.SIZES["quick"], canonical_recipe("npo(lr=0.0001)")
    assert not benchmark.holds(tmp_path, "npo", quick, 1, [weak])
    benchmark.keep(tmp_path, "npo", quick, 1, [made(name=weak)])
    assert benchmark.holds(tmp_path, "npo", quick, 1, ["npo(lr=0.0001)"])
    assert not benchmark.holds(tmp_path, "npo", quick, 1, ["npo(lr=0.001)"])
    assert not benchmark.holds(tmp_path, "npo", quick, 1, ["npo(lr=0.0001)", "npo(lr=0.001)"])


def test_what_is_kept_is_not_measured_again(benchmark, tmp_path):
    benchmark.keep(tmp_path, "npo", benchmark.SIZES["quick"], 0, [made(name=canonical_recipe("npo"))])
    benchmark.measure({"npo": ["npo"]}, benchmark.SIZES["quick"], 0, tmp_path, None)  # would train otherwise
    assert not (tmp_path / "runs").exists()
    assert benchmark.kept(tmp_path, "npo", benchmark.SIZES["quick"], 0)["configurations"] == [
        made(name=canonical_recipe("npo"))
    ]


def test_a_combination_that_means_nothing_is_reported_with_its_code(benchmark, tmp_path):
    searched = benchmark.search("ga + gu", benchmark.SIZES["quick"])
    benchmark.measure({"ga + gu": searched}, benchmark.SIZES["quick"], 0, tmp_path, None)
    (record,) = benchmark.kept(tmp_path, "ga + gu", benchmark.SIZES["quick"], 0)["configurations"]
    assert record["failure"].startswith("E264")


@pytest.fixture
def audits(benchmark, tmp_path, monkeypatch):
    """Let audits be noted and not run: (bases, plan fields that differ) of each, and the name of every row kept."""
    asked, kept = [], []
    monkeypatch.setattr(
        benchmark, "audit", lambda recipes, *rest: asked.append((list(recipes), rest[-1])) or (None, tmp_path)
    )
    monkeypatch.setattr(benchmark, "costs_of", lambda run: {})
    monkeypatch.setattr(benchmark, "results", lambda *_: iter(()))
    monkeypatch.setattr(benchmark, "keep", lambda out, base, setting, seed, found: kept.append(base))
    return asked, kept


def test_exact_methods_get_a_laboratory_trained_for_them_and_its_references_rows_of_their_own(
    benchmark, audits, tmp_path
):
    recipes = {base: [base] for base in ("adapter_drop", "retrain", "sisa", "npo")}
    benchmark.measure(recipes, benchmark.SIZES["small"], 0, tmp_path, 1)
    asked, kept = audits
    trained = {ground.get("laboratory", {}).get("training", "full"): bases for bases, ground in asked}
    assert trained == {"full": ["retrain", "npo"], "adapter": ["adapter_drop"], "sisa": ["sisa"]}
    rows = {f"{role}{of}" for role in ("original", "retrained") for of in ("", " (sisa)", " (adapter)")}
    assert set(kept) == rows | set(recipes)


def test_each_laboratory_is_one_that_its_methods_can_be_locked_on(benchmark, tmp_path):
    for base in benchmark.everything():
        ground = benchmark.ground_of(base, "tiny")
        plan = benchmark.plan_of([base], benchmark.SIZES["small"], 0, ground)
        benchmark.make_lock(benchmark.parse_plan(plan, base=tmp_path), tmp_path)


def test_tune_subjects_are_taken_from_the_sealed_ones_and_only_where_none_are_dealt_anyway(benchmark):
    usual = LABORATORY_SIZES["tiny"]["retain"]
    sizes = benchmark.ground_of("npo > uwc", "tiny")["sizes"]["retain"]
    assert sum((usual | sizes).values()) == sum(usual.values())
    assert (usual | sizes)["calibrate"] == usual["calibrate"]
    assert sizes["tune"] > 0
    assert benchmark.ground_of("npo > uwc", "lab") == {}
    assert benchmark.ground_of("npo > path", "tiny") == {}


def test_a_refusal_is_tried_again_once_it_is_lifted(benchmark, audits, tmp_path):
    """What an earlier table says was refused is no result that could be kept."""
    setting, refused = benchmark.SIZES["small"], {"recipe": "sisa", "failure": "E232 trained at once"}
    place = benchmark.place(tmp_path, "sisa", setting, 0)
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"method": "sisa", "seed": 0, "configurations": [refused]}))
    benchmark.measure({"sisa": ["sisa"]}, setting, 0, tmp_path, 1)
    assert [bases for bases, _ in audits[0]] == [["sisa"]]


def test_references_of_every_laboratory_stand_last_and_are_no_methods(table):
    names = ("original", "retrained", "original (sisa)", "npo @lora(16)", "npo > uwc")
    records = [{"method": name, "configurations": [made()]} for name in names]
    order = [line.split("|")[1].strip() for line in table.lines(records)[2:]]
    assert order == ["npo @lora(16)", "npo > uwc", "original", "retrained", "original (sisa)"]
    assert set(table.measured(records)) == {"npo @lora(16)", "npo > uwc"}


def test_a_candidate_costs_its_training_and_its_post_calibration(benchmark):
    costs = {
        "npo(lr=0.001)": {"cpu_seconds": 3.0, "peak_bytes": 9},
        "npo(lr=0.001) > uwc": {"cpu_seconds": 0.5, "peak_bytes": 7},
    }
    both = benchmark.labels(canonical_recipe("npo(lr=0.001) > uwc"))
    assert benchmark.cost(both, costs) == {"cpu_seconds": 3.5, "peak_bytes": 9}
    alone = benchmark.labels(canonical_recipe("npo(lr=0.001)"))
    assert benchmark.cost(alone, costs) == {"cpu_seconds": 3.0, "peak_bytes": 9}
    assert benchmark.cost(["npo(lr=0.001)", "unknown"], costs) == {}
