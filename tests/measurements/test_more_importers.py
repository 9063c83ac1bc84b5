"""MUSE's logs, TOFU's first logs, lm-eval's samples and plain tables: every number at its place, or a coded error."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from log_samples import (
    KEY,
    legacy_log,
    lm_eval_samples,
    muse_log,
    plain_rows,
    put,
    put_lines,
    tofu_log,
)

from audit.core.digest import keyed
from audit.core.errors import AuditError
from audit.core.text import yields
from audit.measurements import store
from audit.measurements.importers.base import IMPORTERS, Request


def read(kind, folder, **options):
    return IMPORTERS[kind]().read(folder, Request(key=KEY, **options))


def code_of(kind, folder, **options):
    with pytest.raises(AuditError) as caught:
        read(kind, folder, **options)
    return caught.value.code


def values(m, configuration, metric, attack="none"):
    """Return {(subject, probe): value} of one metric of one configuration."""
    rows = m.rows
    chosen = (
        (rows["configuration"] == configuration) & (rows["metric"] == metric) & (rows["attack"] == attack)
    )
    rows = rows[chosen]
    return dict(zip(zip(rows["subject"], rows["probe"], strict=True), rows["value"], strict=True))


def sides(m):
    return m.units.groupby("side").size().to_dict()


# MUSE


@pytest.fixture
def muse(tmp_path):
    for seed, name in enumerate(("target", "retrain", "NPO_lr1e-5")):
        put(tmp_path / "logs" / f"muse_Llama-2-7b-hf_News_{name}", muse_log(seed), "MUSE_EVAL.json")
    (found,) = read("open-unlearning", tmp_path / "logs")
    return found


def test_muse_s_questions_and_passages_are_units_of_their_own(muse):
    assert muse.header["audit_id"] == "muse Llama-2-7b-hf News"
    assert sides(muse) == {"forget": 7, "retain": 5}
    assert {c["configuration"]: c["role"] for c in muse.header["configurations"]} == {
        "original": "original",
        "retrained": "retrained",
        "NPO_lr1e-5": "candidate",
    }


def test_recalls_of_questions_and_of_passages_arrive_at_their_units(muse):
    log = muse_log(2)
    for metric, kind, shift in (
        ("forget_knowmem_ROUGE", "question", 0),
        ("forget_verbmem_ROUGE", "passage", 10**6),
    ):
        for i, entry in log[metric]["value_by_index"].items():
            subject = keyed(KEY, f"muse/forget/News/{kind}/{i}")
            probe = f"q{int(i) + shift:04d}"
            assert values(muse, "NPO_lr1e-5", "rouge_l_recall")[subject, probe] == entry["rougeL_recall"]
            exact = float(yields(entry["ground_truth"], entry["generation"]))
            assert values(muse, "NPO_lr1e-5", "exact_match")[subject, probe] == exact


def test_muse_s_membership_texts_stay_out_and_are_counted(muse):
    assert {m["name"] for m in muse.header["metrics"]} == {
        "exact_match",
        "rouge_1_recall",
        "rouge_l_f1",
        "rouge_l_recall",
    }
    entry = muse.header["import"]["logs"][0]
    assert entry["left_out"] == {"mia_min_k": 6}
    assert entry["aggregates"]["privleak"] == 12.5


# TOFU's first logs


@pytest.fixture
def legacy(tmp_path):
    names = (
        "ft_epoch5_llama2-7b_full_wd0",
        "ft_epoch5_llama2-7b_retain99_wd0",
        "ft_epoch5_llama2-7b_forget01_ga",
    )
    for seed, name in enumerate(names):
        folder = tmp_path / "logs" / name / "eval_results" / "ds_size300"
        put(folder, legacy_log(seed), "eval_log_aggregated.json")
    return tmp_path / "logs"


def test_tofu_s_first_logs_make_the_same_units_as_its_newer_ones(legacy, tmp_path):
    (found,) = read("tofu-legacy", legacy)
    put(tmp_path / "new" / "tofu_Toy_full" / "evals_forget01", tofu_log(1))
    (newer,) = read("open-unlearning", tmp_path / "new")
    assert found.header["import"]["forget_list"] == "forget01"
    assert sides(found) == {"forget": 2, "retain": 2}
    roles = {c["role"] for c in found.header["configurations"]}
    assert roles == {"original", "retrained", "candidate"}
    forget = [set(m.units.loc[m.units["side"] == "forget", "subject"]) for m in (found, newer)]
    assert forget[0] == forget[1]


def test_numbers_of_the_first_logs_take_the_names_of_the_newer_ones(legacy):
    (found,) = read("tofu-legacy", legacy)
    (name,) = [c["configuration"] for c in found.header["configurations"] if c["role"] == "candidate"]
    log = legacy_log(2)["eval_log_forget.json"]

    def expected(measure, pick=lambda v: v):
        return {
            (keyed(KEY, f"tofu/author/{198 + int(i) // 20}"), f"q{int(i):04d}"): pick(v)
            for i, v in log[measure].items()
        }

    def forget(metric):
        known = expected("avg_gt_loss")
        return {k: v for k, v in values(found, name, metric).items() if k in known}

    assert forget("nll") == expected("avg_gt_loss")
    assert forget("probability") == pytest.approx(expected("avg_gt_loss", lambda v: np.exp(-v)))
    assert forget("rouge_l_recall") == expected("rougeL_recall")
    assert forget("paraphrased_nll") == expected("avg_paraphrased_loss")
    assert forget("perturbed_nll_4") == expected("average_perturb_loss", lambda v: v[4])
    assert forget("truth_ratio_geometric") == expected("truth_ratio")
    assert forget("exact_match") == expected("generated_text", lambda t: float(yields(t[2], t[1])))


def test_what_was_unlearned_lies_in_the_folder_of_its_full_model_and_is_a_candidate(tmp_path):
    """As locuslab/tofu's config/forget.yaml places it: model_path/loss_lr_split_epochs/checkpoint-step."""
    full = tmp_path / "ft_epoch5_lr1e-05_llama2-7b_full_wd0"
    put(full / "eval_results" / "ds_size300", legacy_log(0, forget=300), "eval_log_aggregated.json")
    place = full / "grad_ascent_1e-05_forget10_5" / "checkpoint-60"
    put(place, legacy_log(1, forget=300), "eval_log_aggregated.json")
    (found,) = read("tofu-legacy", tmp_path)
    assert sorted(c["role"] for c in found.header["configurations"]) == ["candidate", "original"]


def test_the_default_cut_of_300_rows_is_forget10(tmp_path):
    """Only forget10 has more than 200 questions; its first 300 are 15 authors."""
    put(tmp_path / "ft_llama_full" / "eval_results", legacy_log(0, forget=300), "eval_log_aggregated.json")
    (found,) = read("tofu-legacy", tmp_path)
    assert found.header["import"]["forget_list"] == "forget10"
    assert sides(found)["forget"] == 15
    assert keyed(KEY, "tofu/author/180") in set(found.units["subject"])


def test_a_first_log_that_broke_off_keeps_what_it_has(tmp_path):
    """Without the perturbed pass: no truth ratio, and the retain file is missing altogether."""
    log = legacy_log(0)
    del log["eval_log.json"]
    for measure in ("average_perturb_loss", "truth_ratio"):
        del log["eval_log_forget.json"][measure]
    put(tmp_path / "ft_llama_full", log, "eval_log_aggregated.json")
    (found,) = read("tofu-legacy", tmp_path)
    metrics = {m["name"] for m in found.header["metrics"]}
    assert "truth_ratio_geometric" not in metrics
    assert {"nll", "rouge_l_recall", "exact_match"} <= metrics
    assert sides(found) == {"forget": 2}


# lm-eval


@pytest.fixture
def harness(tmp_path):
    root, stamp = tmp_path / "results", "2025-11-20T10-00-00.123456"
    for seed, model in enumerate(("zephyr", "zephyr_rmu")):
        put_lines(root / model, f"samples_wmdp_bio_{stamp}.jsonl", lm_eval_samples(seed, 6))
        put_lines(root / model, f"samples_mmlu_anatomy_{stamp}.jsonl", lm_eval_samples(seed + 5, 4))
        put_lines(root / model, f"samples_qa_{stamp}.jsonl", lm_eval_samples(seed + 9, 3, generated=True))
    return root


def test_lm_eval_s_tasks_fall_on_their_sides_and_mmlu_is_one_unit_a_subject(harness):
    (found,) = read("lm-eval", harness, roles=(("original", "zephyr"),))
    assert found.header["import"]["forget_list"] == "wmdp_bio"
    assert sides(found) == {
        "forget": 6,
        "retain": 4,
    }  # anatomy is one unit, the three questions of qa one each
    sizes = found.probes.groupby("subject").size()
    assert sizes[keyed(KEY, "lm-eval/mmlu_anatomy")] == 4
    roles = {c["configuration"]: c["role"] for c in found.header["configurations"]}
    assert roles == {"original": "original", "zephyr_rmu": "candidate"}


def test_a_choice_is_right_or_wrong_and_its_recall_says_so(harness):
    (found,) = read("lm-eval", harness)
    number = {"mmlu_anatomy": 0, "qa": 1, "wmdp_bio": 2}["wmdp_bio"]
    for i, line in enumerate(lm_eval_samples(1, 6)):
        key = keyed(KEY, f"lm-eval/wmdp_bio/{i}"), f"q{number * 10**6 + i:04d}"
        for metric in ("accuracy", "exact_match", "rouge_l_recall"):
            assert values(found, "zephyr_rmu", metric)[key] == line["acc"]
        assert values(found, "zephyr_rmu", "lm_eval_acc_norm")[key] == line["acc_norm"]


def test_a_generation_is_compared_with_its_answer_before_the_text_goes(harness, tmp_path):
    (found,) = read("lm-eval", harness)
    for i, line in enumerate(lm_eval_samples(10, 3, generated=True)):
        key = keyed(KEY, f"lm-eval/qa/{i}"), f"q{10**6 + i:04d}"
        assert values(found, "zephyr_rmu", "exact_match")[key] == line["exact_match"]
        if line["exact_match"]:
            assert values(found, "zephyr_rmu", "rouge_l_recall")[key] == 1.0
    store.write(tmp_path / "m", found)
    assert (
        lm_eval_samples(10, 3, generated=True)[0]["target"]
        not in (tmp_path / "m" / "header.json").read_text()
    )


def test_an_older_log_without_a_list_of_metrics_gives_the_same(tmp_path):
    for older in (True, False):
        put_lines(tmp_path / str(older) / "m", "samples_wmdp_bio.jsonl", lm_eval_samples(3, 5, older=older))
    old, new = (read("lm-eval", tmp_path / str(older))[0] for older in (True, False))
    assert values(old, "m", "accuracy") == values(new, "m", "accuracy")
    assert {m["name"] for m in old.header["metrics"]} == {m["name"] for m in new.header["metrics"]}


def test_a_metric_that_a_task_gives_as_true_or_false_is_a_number(tmp_path):
    lines = [{**line, "acc": bool(line["acc"])} for line in lm_eval_samples(3, 5)]
    put_lines(tmp_path / "m", "samples_wmdp_bio.jsonl", lines)
    (found,) = read("lm-eval", tmp_path)
    assert sorted(values(found, "m", "accuracy").values()) == sorted(float(line["acc"]) for line in lines)
    assert sorted(values(found, "m", "exact_match").values()) == sorted(float(line["acc"]) for line in lines)


def test_a_second_filter_of_the_same_question_does_not_count_twice(tmp_path):
    lines = lm_eval_samples(3, 4)
    again = [{**line, "filter": "strict", "acc": 1 - line["acc"]} for line in lines]
    put_lines(tmp_path / "m", "samples_wmdp_bio.jsonl", [*lines, *again])
    (found,) = read("lm-eval", tmp_path)
    assert sorted(values(found, "m", "accuracy").values()) == sorted(line["acc"] for line in lines)


def test_what_lm_eval_must_not_lack(harness, tmp_path):
    assert code_of("lm-eval", tmp_path / "nothing") == "E130"
    put_lines(tmp_path / "a" / "m", "samples_mmlu_x.jsonl", lm_eval_samples(1, 3))
    assert code_of("lm-eval", tmp_path / "a") == "E132"  # nothing to be forgotten
    put_lines(tmp_path / "b" / "m", "samples_wmdp_bio.jsonl", [{"doc_id": 0, "doc": {}}])
    assert code_of("lm-eval", tmp_path / "b") == "E150"
    put_lines(tmp_path / "c" / "m", "samples_wmdp_bio.jsonl", ["not an object"])
    assert code_of("lm-eval", tmp_path / "c") == "E132"
    put_lines(harness / "zephyr", "samples_wmdp_bio_2025-12-01T00-00-00.0.jsonl", lm_eval_samples(1, 6))
    assert code_of("lm-eval", harness) == "E135"


def test_a_sample_log_that_broke_off_in_a_line_is_e131_with_its_byte(tmp_path):
    path = put_lines(tmp_path / "m", "samples_wmdp_bio.jsonl", lm_eval_samples(1, 2))
    text = path.read_text()
    path.write_text(text[:-5])
    with pytest.raises(AuditError) as caught:
        read("lm-eval", tmp_path)
    assert caught.value.code == "E131"
    byte = int(caught.value.cause.rpartition(" ")[2])
    assert text.index("\n") < byte <= len(text)


def test_models_that_were_asked_other_questions_are_e136(harness):
    path = next((harness / "zephyr").glob("samples_wmdp*"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[2]["doc_hash"] = "another"
    path.write_text("\n".join(map(json.dumps, lines)))
    assert code_of("lm-eval", harness) == "E136"


# Plain tables


def write_table(folder, rows, name="t.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(rows)
    frame.to_csv(folder / name, index=False) if name.endswith("csv") else frame.to_parquet(folder / name)
    return folder


def test_every_value_of_a_plain_table_arrives_under_a_pseudonym(tmp_path):
    rows = plain_rows()
    (found,) = read("table", write_table(tmp_path / "t", rows))
    assert sides(found) == {"forget": 2, "retain": 1, "twin": 1}
    number = {"born": "q0000", "lives": "q0001"}
    for row in rows:
        key = keyed(KEY, f"table/{row['subject']}"), number[row["probe"]]
        assert values(found, row["configuration"], row["metric"], row["attack"])[key] == pytest.approx(
            row["value"]
        )
    assert len(found.rows) == len(rows)
    attacked = {(c["attack"], c["dose"], c["side"]) for c in found.header["coverage"]}
    assert attacked == {("none", 0.0, s) for s in ("forget", "retain", "twin")} | {("mine(4)", 4.0, "forget")}
    assert {c["state"] for c in found.header["coverage"]} == {"measured"}
    assert found.units.set_index("side")["split"].to_dict()["twin"] == "threshold"


def test_csv_and_parquet_give_the_same_measurements(tmp_path):
    csv, parquet = (
        read("table", write_table(tmp_path / n, plain_rows(), f"t.{n}"))[0] for n in ("csv", "parquet")
    )
    assert store.same(csv, parquet)


def test_what_varies_not_may_be_left_out_and_roles_come_from_the_command(tmp_path):
    optional = ("role", "attack", "dose")
    rows = [{k: v for k, v in row.items() if k not in optional} for row in plain_rows(attacks=("none",))]
    (found,) = read("table", write_table(tmp_path / "t", rows), roles=(("original", "orig*"),))
    assert {c["configuration"]: c["role"] for c in found.header["configurations"]} == {
        "original": "original",
        "npo": "candidate",
    }
    assert code_of("table", tmp_path / "t", roles=(("original", "nobody"),)) == "E133"


def test_a_missing_value_takes_the_unit_s_metric_and_the_cell_stays_measured(tmp_path):
    rows = plain_rows(attacks=("none",))
    rows[0]["value"] = None  # original, Ada Brook, born, rouge_l_recall
    (found,) = read("table", write_table(tmp_path / "t", rows))
    ada = keyed(KEY, "table/Ada Brook")
    assert not [key for key in values(found, "original", "rouge_l_recall") if key[0] == ada]
    assert len([key for key in values(found, "original", "nll") if key[0] == ada]) == 2
    assert len([key for key in values(found, "npo", "rouge_l_recall") if key[0] == ada]) == 2


def test_a_value_outside_its_metric_s_range_is_no_value(tmp_path):
    rows = plain_rows(attacks=("none",))
    rows[0]["value"] = 1.5
    (found,) = read("table", write_table(tmp_path / "t", rows))
    ada = keyed(KEY, "table/Ada Brook")
    assert not [key for key in values(found, "original", "rouge_l_recall") if key[0] == ada]


def test_a_cell_that_one_configuration_lacks_has_failed(tmp_path):
    rows = [r for r in plain_rows() if not (r["configuration"] == "npo" and r["attack"] == "mine(4)")]
    (found,) = read("table", write_table(tmp_path / "t", rows))
    states = {(c["configuration"], c["attack"], c["side"]): c["state"] for c in found.header["coverage"]}
    assert states["npo", "mine(4)", "forget"] == "failed"
    assert states["original", "mine(4)", "forget"] == "measured"


def test_answers_that_were_drawn_once_count_as_random_losses(tmp_path):
    assert read("table", write_table(tmp_path / "t", plain_rows()))[0].header["losses"] == "fixed"
    drawn = [r | {"draw": number} for r in plain_rows() for number in (0, 1)]
    assert read("table", write_table(tmp_path / "d", drawn))[0].header["losses"] == "random"


def test_a_sample_of_a_plain_table_is_drawn_by_seed(tmp_path):
    folder = write_table(tmp_path / "t", plain_rows())
    drawn = {tuple(read("table", folder, sample=1, seed=s)[0].units["subject"]) for s in range(12)}
    assert len(drawn) == 2  # one of two forget subjects; the others are alone on their sides
    (found,) = read("table", folder, sample=1)
    assert found.header["lists"]["forget"] | {"digest": ""} == {
        "name": "forget",
        "digest": "",
        "size": 2,
        "drawn": "lock+logs",
    }


def break_table(change):
    rows = plain_rows(attacks=("none",))
    change(rows)
    return rows


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("E152", lambda rows: [row.pop("side") for row in rows]),
        ("E153", lambda rows: rows[1].update(value="high")),
        ("E153", lambda rows: rows[1].update(subject="")),
        ("E153", lambda rows: [row.update(seed=0.5) for row in rows]),
        ("E154", lambda rows: rows[1].update(side="forgotten")),
        ("E154", lambda rows: rows[1].update(role="base")),
        ("E155", lambda rows: rows.append(dict(rows[0]))),
        ("E155", lambda rows: rows[0].update(side="retain")),
        ("E155", lambda rows: rows[0].update(role="retrained")),
        ("E156", lambda rows: [row.update(attack="quantize(int4)", dose=4.0) for row in rows]),
        ("E156", lambda rows: [row.update(attack="none", dose=1.0) for row in rows]),
        ("E132", lambda rows: [row.update(side="retain") for row in rows]),
    ],
)
def test_a_table_that_cannot_be_read_or_contradicts_itself_is_refused_without_its_text(
    tmp_path, code, change
):
    folder = write_table(tmp_path / "t", break_table(change))
    with pytest.raises(AuditError) as caught:
        read("table", folder)
    assert caught.value.code == code
    assert not [name for name in ("Ada", "Brook", "Lund", "high") if name in str(caught.value)]


def test_files_that_are_no_tables_are_e341_and_none_at_all_e130(tmp_path):
    assert code_of("table", tmp_path) == "E130"
    (tmp_path / "t.parquet").write_bytes(b"Ada Brook")
    assert code_of("table", tmp_path) == "E151"
    (tmp_path / "t.parquet").unlink()
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00broken")
    assert code_of("table", tmp_path) in ("E151", "E152")
