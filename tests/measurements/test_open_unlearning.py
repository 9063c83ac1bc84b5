"""Importing open-unlearning's and DUET's logs: numbers kept, text dropped, absence stays absence."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from log_samples import (
    CITIES,
    KEY,
    duet_log,
    grams,
    legacy_log,
    lm_eval_samples,
    muse_log,
    plain_rows,
    put,
    put_lines,
    strings_of,
    text_of,
    tofu_log,
)

from audit.core.digest import keyed
from audit.core.errors import AuditError
from audit.core.text import yields
from audit.measurements import store
from audit.measurements.importers.base import IMPORTERS, Request
from audit.measurements.importers.logfile import Log
from audit.measurements.importers.open_unlearning import read_logs, roles_found
from audit.measurements.importers.sides import Audit, Source, side_of


def by_id(measurements):
    return {m.header["audit_id"]: m for m in measurements}


def tofu(folder, **options):
    return by_id(read_logs(folder, key=KEY, **options))["tofu Toy-1B forget01"]


def fails(code, folder, **options):
    with pytest.raises(AuditError) as caught:
        read_logs(folder, key=KEY, **options)
    assert caught.value.code == code
    return caught.value.cause


def values(m, configuration, metric, side="forget"):
    """Return {(subject, probe): value} of one metric."""
    rows = m.rows[(m.rows["configuration"] == configuration) & (m.rows["metric"] == metric)]
    rows = rows[rows["subject"].isin(m.units.loc[m.units["side"] == side, "subject"])]
    return dict(zip(zip(rows["subject"], rows["probe"], strict=True), rows["value"], strict=True))


def test_one_audit_per_base_model_and_list_with_roles_from_the_folders(logs):
    measurements = read_logs(logs, key=KEY)
    assert [m.header["audit_id"] for m in measurements] == [
        "duet Toy-8B city_forget_5",
        "tofu Toy-1B forget01",
    ]
    found = [(c["configuration"], c["role"]) for c in measurements[1].header["configurations"]]
    assert sorted(found) == [
        ("GradDiff_full/checkpoint-9", "candidate"),
        ("NPO", "candidate"),
        ("original", "original"),
        ("retrained", "retrained"),
    ]
    assert ("tofu Toy-1B forget01", "retrained", "tofu_Toy-1B_retain99/TOFU_EVAL.json") in roles_found(
        measurements
    )


def test_authors_are_units_on_three_sides_and_singles_stay_out(logs):
    m = tofu(logs)
    assert m.units.groupby("side").size().to_dict() == {"forget": 2, "retain": 2, "twin": 2}
    assert m.units.groupby("side")["split"].unique().map(list).to_dict() == {
        "forget": ["calibrate"],
        "retain": ["calibrate"],
        "twin": ["threshold"],
    }
    assert m.probes.groupby("subject").size().unique().tolist() == [20]
    assert keyed(KEY, "tofu/author/198") in set(m.units["subject"])
    assert m.header["import"]["logs"][0]["left_out"]["ra_Q_A_ROUGE"] == 3
    assert {side: item["size"] for side, item in m.header["lists"].items()} == {
        "forget": 2,
        "retain": 2,
        "twin": 2,
    }
    assert {item["drawn"] for item in m.header["lists"].values()} == {"census"}


@pytest.mark.parametrize(
    ("configuration", "seed", "truth_ratio"),
    [("original", 1, "forget_truth_ratio"), ("NPO", 3, "forget_truth_ratio")],
)
def test_every_number_of_a_log_arrives_at_its_author_and_question(logs, configuration, seed, truth_ratio):
    log, m = tofu_log(seed), tofu(logs)

    def expected(metric, field, pick=lambda v: v):
        items = log[metric]["value_by_index"].items()
        return {
            (keyed(KEY, f"tofu/author/{198 + int(i) // 20}"), f"q{int(i):04d}"): pick(item[field])
            for i, item in items
        }

    assert values(m, configuration, "probability") == expected("forget_Q_A_Prob", "prob")
    assert values(m, configuration, "nll") == expected("forget_Q_A_Prob", "avg_loss")
    assert values(m, configuration, "rouge_l_recall") == expected("forget_Q_A_ROUGE", "rougeL_recall")
    assert values(m, configuration, "truth_ratio_geometric") == expected(truth_ratio, "score")
    assert values(m, configuration, "perturbed_nll_3") == expected(
        "forget_Q_A_PERT_Prob", "avg_loss", lambda v: v[3]
    )
    assert values(m, configuration, "extraction_strength_floored") == expected("extraction_strength", "score")


def test_exact_match_is_taken_before_the_text_goes(logs):
    log, m = tofu_log(1), tofu(logs)
    items = log["retain_Q_A_ROUGE"]["value_by_index"].items()
    expected = {
        (keyed(KEY, f"tofu/author/{int(i) // 20}"), f"q{int(i):04d}"): float(
            yields(v["ground_truth"], v["generation"])
        )
        for i, v in items
    }
    assert values(m, "original", "exact_match", "retain") == expected
    assert 0 < sum(expected.values()) < len(expected)


def test_twins_carry_the_membership_scores_of_the_holdout(logs):
    log, m = tofu_log(1), tofu(logs)
    logged = [item["score"] for item in log["mia_loss"]["holdout"]["value_by_index"].values()]
    assert sorted(values(m, "original", "nll", "twin").values()) == sorted(logged)
    assert len(values(m, "original", "mia_min_k", "twin")) == 40


def test_both_spellings_of_the_truth_ratio_are_one_metric(logs):
    m = tofu(logs)
    assert len(values(m, "retrained", "truth_ratio_geometric")) == 40  # written as forget_Truth_Ratio there
    assert all(cell["reason"] == "" for cell in m.header["coverage"])


def test_duet_units_are_cities_and_the_holdout_is_the_retain_side(logs):
    m = by_id(read_logs(logs, key=KEY))["duet Toy-8B city_forget_5"]
    assert m.units.groupby("side").size().to_dict() == {"forget": len(set(CITIES)), "retain": 3}
    zorvania = keyed(KEY, "duet/forget/Zorvania")
    assert sorted(m.probes.loc[m.probes["subject"] == zorvania, "probe"]) == ["q0000", "q0004"]
    assert m.header["import"]["logs"][0]["unrecognised_units"] == 0
    assert set(m.header["lists"]) == {"forget", "retain"}


def test_explicit_roles_win_and_the_first_glob_counts(logs):
    m = tofu(logs, roles=[("candidate", "tofu_*_full"), ("original", "*NPO*"), ("retrained", "*")])
    roles = {log["log"].split("/")[0]: log["role"] for log in m.header["import"]["logs"]}
    assert roles["tofu_Toy-1B_full"] == "candidate"
    assert roles["tofu_Toy-1B_forget01_NPO"] == "original"


@pytest.fixture
def two(tmp_path):
    put(tmp_path / "tofu_Toy-1B_full" / "evals_forget01", tofu_log(1))
    put(tmp_path / "tofu_Toy-1B_retain99", tofu_log(2))
    return tmp_path


def test_a_role_that_matches_nothing_or_is_none_is_e133(two):
    assert "original=nobody" in fails("E133", two, roles=[("original", "nobody")])
    assert "gold" in fails("E133", two, roles=[("gold", "*")])


def test_two_logs_of_one_role_are_e135(two):
    fails("E135", two, roles=[("original", "*")])


def test_a_folder_without_logs_is_e130(tmp_path):
    fails("E130", tmp_path)
    fails("E130", tmp_path / "nothing")


def test_broken_json_is_e131_with_the_byte_position(two):
    path = two / "tofu_Toy-1B_retain99" / "TOFU_EVAL.json"
    text = path.read_text()
    path.write_bytes('{"é": 1, oops'.encode())
    assert "byte 10" in fails("E131", two)  # é takes two bytes
    path.write_text(text[: len(text) // 2])
    cause = fails("E131", two)
    assert not grams(cause) & set().union(*map(grams, strings_of(tofu_log(2))))
    path.write_bytes(b'{"a": "\xff"}')
    assert "byte 7" in fails("E131", two)


@pytest.mark.parametrize(
    "content", ["{}", "[1, 2]", '{"forget_Q_A_ROUGE": 0.5}', '{"mia_loss": {"agg_value": 1}}']
)
def test_a_summary_instead_of_a_log_is_e132(two, content):
    (two / "tofu_Toy-1B_retain99" / "TOFU_EVAL.json").write_text(content)
    fails("E132", two)


@pytest.mark.parametrize(
    "keys", [["a", "1"], ["0.5", "1"], ["-1", "1"], ["1", "1.0"], ["nan", "1"], ["inf", "1"]]
)
def test_keys_that_are_no_index_or_stand_twice_are_e134(two, keys):
    entries = {"value_by_index": {key: {"score": 0.5} for key in keys}}
    put(two / "tofu_Toy-1B_retain99", {"exact_memorization": entries})
    fails("E134", two)


def test_logs_that_ask_different_questions_are_e136(two):
    log = tofu_log(2)
    log["forget_Q_A_ROUGE"]["value_by_index"]["7"]["ground_truth"] = "another answer altogether"
    put(two / "tofu_Toy-1B_retain99", log)
    assert "1 forget questions differ" in fails("E136", two)


def test_a_sample_below_one_is_e137(two):
    fails("E137", two, sample=0)


def test_a_missing_metric_is_named_in_the_coverage_and_nowhere_filled(two):
    log = tofu_log(2)
    del log["forget_Q_A_ROUGE"], log["mia_loss"], log["mia_min_k"]
    put(two / "tofu_Toy-1B_retain99", log)
    m = tofu(two)
    assert not values(m, "retrained", "rouge_l_recall")
    cells = {(c["configuration"], c["side"]): c for c in m.header["coverage"]}
    assert "rouge_l_recall" in cells["retrained", "forget"]["reason"]
    assert cells["retrained", "forget"]["state"] == "measured"
    assert cells["retrained", "twin"]["state"] == "failed"
    assert cells["original", "twin"]["state"] == "measured"


def test_an_interrupted_metric_loses_the_author_whose_questions_are_not_all_there(two):
    """30 of 40 questions logged: the first author has all 20, the second 10 and so no value."""
    log = tofu_log(2)
    entries = log["forget_Q_A_ROUGE"]["value_by_index"]
    log["forget_Q_A_ROUGE"]["value_by_index"] = dict(list(entries.items())[:30])
    put(two / "tofu_Toy-1B_retain99", log)
    m = tofu(two)
    assert {subject for subject, _ in values(m, "retrained", "rouge_l_recall")} == {
        keyed(KEY, "tofu/author/198")
    }
    assert len(values(m, "original", "rouge_l_recall")) == 40
    logged = {log["role"]: log["incomplete_units"] for log in m.header["import"]["logs"]}
    assert logged == {"original": 0, "retrained": 4}  # three ROUGE fields and the exact match


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), 1.5])
def test_one_unusable_number_takes_the_whole_author(two, bad):
    log = tofu_log(2)
    log["forget_Q_A_Prob"]["value_by_index"]["25"]["prob"] = bad
    put(two / "tofu_Toy-1B_retain99", log)
    assert {s for s, _ in values(tofu(two), "retrained", "probability")} == {keyed(KEY, "tofu/author/198")}


def test_unknown_numbers_are_kept_and_unknown_text_is_not(two):
    log = tofu_log(2)
    fluency = {
        str(i): {"score": i / 40, "note": "a sentence about somebody", "label": None} for i in range(40)
    }
    log["forget_Q_A_gibberish"] = {"agg_value": 0.5, "value_by_index": fluency}
    options = {
        str(i): {f"Option number {i} in words": 0.5, f"Option{i}": 0.5, "score": 0.1} for i in range(40)
    }
    log["forget_choice"] = {"value_by_index": options}
    put(two / "tofu_Toy-1B_retain99", log)
    m = tofu(two)
    assert len(values(m, "retrained", "qa_gibberish")) == 40
    metrics = {item["name"] for item in m.header["metrics"]}
    assert not [name for name in metrics if "option" in name or "note" in name or "label" in name]
    assert set(m.header["import"]["assumed_direction"]) == {"qa_gibberish", "choice"}


def test_a_sample_opens_n_units_per_side_the_same_for_all_and_keeps_the_population(logs):
    m = tofu(logs, sample=1, seed=4)
    sizes = m.units.groupby("side").size().to_dict()
    assert sizes == {"forget": 1, "retain": 1, "twin": 2}
    assert m.header["lists"]["forget"]["size"] == 2
    assert m.header["lists"]["forget"]["drawn"] == "lock+logs"
    assert m.header["lists"]["twin"]["drawn"] == "census"
    forget = m.rows[m.rows["subject"].isin(m.units.loc[m.units["side"] == "forget", "subject"])]
    assert forget.groupby("configuration", observed=True)["subject"].nunique().unique().tolist() == [1]
    assert set(m.probes["subject"]) == set(m.units["subject"])


def test_a_sample_as_large_as_the_list_is_a_census(logs):
    assert tofu(logs, sample=2).header["lists"]["forget"]["drawn"] == "census"


def test_the_draw_is_fair_over_seeds():
    """Each of 20 authors is drawn with probability 1/4: Binomial(400, 1/4) has mean 100 and sd 8.7."""
    log = Log("0" * 64, "forget10", (), {"forget": {i: f"u{i // 20:02d}" for i in range(400)}}, {}, {}, {}, 0)
    audit = Audit("tofu", "Toy", "forget10", (Source("x", "original", "original", log),))
    drawn = np.zeros(20)
    for seed in range(400):
        side = side_of(audit, "forget", Request(key=KEY, seed=seed, sample=5))
        drawn += side.drawn
        assert sorted(side.order[side.drawn]) == list(range(5))
    assert drawn.sum() == 2000
    assert np.abs(drawn - 100).max() < 4.5 * np.sqrt(400 * 0.25 * 0.75)


def test_the_same_folder_and_request_give_the_same_measurements(logs):
    first, second = (read_logs(logs, key=KEY, seed=9, sample=1) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert store.same(a, b)
        assert a.header == b.header
        assert a.units.equals(b.units)


def test_another_seed_reorders_and_another_key_renames(logs):
    duet = "duet Toy-8B city_forget_5"
    base = by_id(read_logs(logs, key=KEY, seed=1))[duet].units
    orders = {tuple(by_id(read_logs(logs, key=KEY, seed=s))[duet].units["order"]) for s in range(8)}
    assert len(orders) > 1
    assert not set(by_id(read_logs(logs, key=b"other"))[duet].units["subject"]) & set(base["subject"])


def test_orders_are_permutations_within_each_side(logs):
    for m in read_logs(logs, key=KEY):
        for _, units in m.units.groupby("side"):
            assert sorted(units["order"]) == list(range(len(units)))


def test_an_audit_without_any_forget_sample_is_e132(tmp_path):
    log = {"retain_Q_A_ROUGE": tofu_log(1)["retain_Q_A_ROUGE"]}
    put(tmp_path / "tofu_Toy-1B_full" / "evals_forget01", log)
    fails("E132", tmp_path)


@pytest.fixture
def every_log(logs):
    """Logs of every importer in one folder: each takes its own and leaves the others alone."""
    put(logs / "muse_Toy-7b_News_target", muse_log(6), "MUSE_EVAL.json")
    put(logs / "ft_toy_full" / "eval_results", legacy_log(7), "eval_log_aggregated.json")
    put_lines(logs / "toy", "samples_wmdp_bio_2025-01-01T00-00-00.0.jsonl", lm_eval_samples(8, 4))
    put_lines(logs / "toy", "samples_qa_2025-01-01T00-00-00.0.jsonl", lm_eval_samples(9, 4, generated=True))
    pd.DataFrame(plain_rows()).to_csv(logs / "numbers.csv", index=False)
    return logs


@pytest.mark.parametrize("name", list(IMPORTERS))
def test_every_importer_round_trips_and_keeps_no_text(name, every_log, tmp_path):
    measurements = IMPORTERS[name]().read(every_log, Request(key=KEY))
    assert measurements
    texts = set()
    samples = [*lm_eval_samples(8, 4), *lm_eval_samples(9, 4, generated=True)]
    for log in (
        *(tofu_log(seed) for seed in (1, 2, 3, 4)),
        duet_log(5),
        muse_log(6),
        legacy_log(7),
        *samples,
    ):
        for text in strings_of(log):
            texts |= grams(text)
    people = {row["subject"] for row in plain_rows()}
    for number, m in enumerate(measurements):
        folder = tmp_path / str(number)
        store.write(folder, m)
        back = store.read(folder)
        assert store.same(m, back)
        assert json.loads(json.dumps(m.header)) == back.header
        written = text_of(folder)
        assert not grams(written) & texts
        assert not [word for word in {*CITIES, "Pelmok", "Drissa", *people} if word in written]
        assert KEY.decode() not in written
    again = IMPORTERS[name]().read(every_log, Request(key=KEY))
    assert all(store.same(a, b) and a.header == b.header for a, b in zip(measurements, again, strict=True))


def test_importing_logs_loads_neither_torch_nor_scipy(logs):
    code = f"""
import sys
from pathlib import Path
from audit.measurements.importers.open_unlearning import read_logs
assert not {{"torch", "transformers", "scipy", "pandas", "pyarrow"}} & set(sys.modules)
read_logs(Path({str(logs)!r}), key=b"k")
assert not {{"torch", "transformers", "scipy"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
