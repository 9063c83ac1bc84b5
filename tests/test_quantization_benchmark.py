"""The benchmark of quantization: which strength is chosen, on which seed, and what is said about the outcome."""

import importlib.util
from argparse import Namespace
from pathlib import Path

import pytest

from audit.attacks.base import ATTACKS
from audit.core.registry import canonical
from audit.evidence.certificate import Verdict
from audit.methods.compose import parse_recipe
from audit.plan.naming import attack_label
from audit.plan.schema import parse_plan

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "quantization.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("quantization_benchmark", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(label="npo", none=0, int4=0, units=30, failure="", role="candidate", fails=(), harm=0.01):
    return {
        "label": label,
        "role": role,
        "failure": failure,
        "recovered": {} if failure else {"none": [none, units], "quantize(int4)": [int4, units]},
        "fails_under": list(fails),
        "harm": harm,
        "cur": 0.2512,
        "verdict": "FAIL",
    }


def test_the_weakest_strength_that_looks_forgotten_is_chosen(benchmark):
    records = [made("weak", 20), made("enough", 3), made("strong", 0)]
    assert benchmark.choose(records) == "enough"  # 3 of 30 are a tenth, which the budget tolerates


def test_a_strength_that_destroys_the_rest_does_not_count_as_forgetting(benchmark):
    records = [made("ruins", 0, harm=0.11), made("at the limit", 0, harm=0.1), made("strong", 0)]
    assert benchmark.choose(records) == "at the limit"


def test_what_comes_back_under_rounding_plays_no_part_in_the_choice(benchmark):
    """Neither towards the strength that shows most, nor away from it."""
    for first, second in ((30, 0), (0, 30)):
        assert benchmark.choose([made("a", 0, first), made("b", 0, second)]) == "a"


def test_a_method_that_never_looks_forgotten_is_left_out_and_never_forced(benchmark):
    assert benchmark.choose([made("a", 4), made("b", 30)]) is None
    assert benchmark.choose([made("a", failure="E310 not finite"), made("b", 1)]) == "b"
    assert benchmark.choose([made("a", 0, units=0)]) is None  # nobody asked: nothing was forgotten


def test_an_attack_that_was_not_measured_is_an_error_and_never_a_zero(benchmark):
    with pytest.raises(KeyError, match="quantize"):
        benchmark.forgotten({"recovered": {"none": [0, 30]}}, "quantize(int4)")


def test_strengths_go_from_weak_to_strong_at_equal_steps(benchmark):
    for method in benchmark.METHODS:
        recipes = [parse_recipe(text) for text in benchmark.searched(method, "tiny")]
        assert [recipe.budget.lr for recipe in recipes] == sorted(benchmark.RATES)
        assert {(recipe.budget.steps, recipe.budget.batch) for recipe in recipes} == {(30, 32)}
        assert [recipe.short for recipe in recipes] == benchmark.searched(method, "tiny")


def test_the_report_is_about_another_seed_and_both_releases(benchmark, monkeypatch, tmp_path):
    asked = []

    def measured(plan, _asked):
        asked.append(parse_plan(plan, base=tmp_path))
        texts = plan["candidates"]
        records = [
            made(text, none=0 if "0.0005" in text else 30, int4=30, fails=["quantize(int4)"])
            for text in texts
        ]
        return {"records": records, "verdict": "FAIL", "family_size": len(texts), "controls": []}

    monkeypatch.setattr(benchmark, "measured", measured)
    monkeypatch.setattr("sys.argv", ["quantization.py", "--out", str(tmp_path)])
    benchmark.main()
    tuned, *reported = asked
    assert tuned.seed not in {plan.seed for plan in reported}
    assert [plan.laboratory.release for plan in reported] == ["int4", "full"]
    assert all(plan.candidates == reported[0].candidates for plan in reported)
    assert len(reported[0].candidates) == len(benchmark.METHODS)
    assert all("lr=0.0005" in str(text) for text in reported[0].candidates)
    assert all((plan.budget.forget, plan.budget.utility) == (0.1, 0.1) for plan in reported)
    assert "8 come back" in (tmp_path / "quantization.md").read_text(encoding="utf-8")


def test_the_attacks_are_named_as_the_certificate_names_them(benchmark):
    """Otherwise a column of the table would be empty."""
    assert [attack_label(canonical(ATTACKS.build(text))) for text in benchmark.ATTACKS] == list(
        benchmark.ATTACKS
    )


def test_the_reading_counts_who_comes_back_and_for_whom_the_certificate_says_so(benchmark):
    found = {
        "verdict": str(Verdict.FAIL),
        "family_size": 4,
        "controls": ["original (must FAIL): as expected"],
        "records": [
            made("original", 30, 30, role="original"),
            made("back", 0, 30, fails=["quantize(int4)"]),
            made("back, but not surely", 3, 4),
            made("stays away", 0, 3),
            made("never left", 30, 30, fails=["none", "quantize(int4)"]),
            made("crashed", failure="E310"),
        ],
    }
    text = benchmark.reading(found)
    assert "Of 4 methods 3 look forgotten" in text
    assert "these 2 come back" in text
    assert "for 1 of them the certificate's lower bound" in text


def test_every_line_of_a_table_has_the_same_columns_and_bounds_are_rounded_up(benchmark):
    lines = benchmark.table({"records": [made(), made(failure="E310")]})
    assert len({line.count("|") for line in lines}) == 1
    assert "| 0.252 |" in lines[2]
    assert "| – |" in lines[3]
    strengths = {"npo": ["a", "b", "c", "d"]}
    by_name = {label: made(label, 1, 2) for label in "abcd"}
    searched = benchmark.tuning_table(strengths, by_name, {"npo": "b"})
    cell = "1/30 → 2/30 (0.01)"
    assert searched[2] == f"| npo | {cell} | **{cell}** | {cell} | {cell} |"


def test_what_was_said_is_not_measured_again(benchmark, tmp_path):
    plan = benchmark.plan("tiny", "int4", ["npo"], ("none",), 0)
    folder = tmp_path / "runs" / benchmark.digest_json(plan)[:12]
    benchmark.write_json(folder / "said.json", {"records": []})
    assert benchmark.measured(plan, Namespace(out=tmp_path, workers=None)) == {
        "records": []
    }  # would train otherwise
    assert not (folder / "run").exists()
