"""Real logs as golden numbers: what the published logs state must come out of their per-sample values."""

import json

import numpy as np
import pandas as pd
import pytest
from log_samples import GOLDEN, KEY, grams, strings_of, text_of

from audit.core.digest import digest_file
from audit.measurements import store
from audit.measurements.importers.open_unlearning import read_logs, roles_found

MANIFEST = {
    item["file"].removesuffix(".parquet"): item for item in json.loads((GOLDEN / "MANIFEST.json").read_text())
}
TOFU = [name for name in MANIFEST if name.startswith("tofu")]
DUET = [name for name in MANIFEST if name.startswith("duet")]
NEVER_TRAINED = ["tofu_1b_retain90", "tofu_7b_retain90"]


def numbers(name, metric, field, part=""):
    """Return the frame of one field, in the order of the list."""
    frame = pd.read_parquet(GOLDEN / f"{name}.parquet")
    chosen = (frame["metric"] == metric) & (frame["field"] == field) & (frame["part"] == part)
    return frame[chosen].sort_values(["index", "position"])


def by_author(name, metric, field):
    """Return (20 authors, 20 questions)."""
    return numbers(name, metric, field)["value"].to_numpy().reshape(20, 20)


def intraclass_correlation(values):
    """One-way ANOVA estimator: (MSB - MSW) / (MSB + (k - 1) MSW) for equal groups of k."""
    k = values.shape[1]
    between = k * values.mean(axis=1).var(ddof=1)
    within = values.var(axis=1, ddof=1).mean()
    return (between - within) / (between + (k - 1) * within)


@pytest.mark.parametrize("name", MANIFEST)
def test_a_fixture_is_the_file_of_the_manifest(name):
    assert digest_file(GOLDEN / MANIFEST[name]["file"]) == MANIFEST[name]["sha256"]
    assert MANIFEST[name]["source"]["licence"] == "MIT"
    assert MANIFEST[name]["source"]["repository"] in (GOLDEN / "NOTICE").read_text()


@pytest.mark.parametrize("name", TOFU)
@pytest.mark.parametrize("side", ["forget", "retain", "ra", "wf"])
def test_logged_means_of_probability_and_rouge_are_recomputed(name, side):
    logged = MANIFEST[name]["aggregates"]
    for metric, field in ((f"{side}_Q_A_Prob", "prob"), (f"{side}_Q_A_ROUGE", "rougeL_recall")):
        assert numbers(name, metric, field)["value"].mean() == pytest.approx(logged[metric], abs=1e-12)
    perturbed = f"{side}_Q_A_PERT_Prob"
    means = numbers(name, perturbed, "prob").groupby("index")["value"].mean()
    assert means.mean() == pytest.approx(logged[perturbed], abs=1e-12)


@pytest.mark.parametrize("name", TOFU)
def test_logged_memorization_and_truth_ratios_are_recomputed(name):
    """On forget min(R, 1/R) ("closer to 1 is better"), elsewhere max(0, 1 - R) ("true is better")."""
    logged = MANIFEST[name]["aggregates"]
    for metric in ("exact_memorization", "extraction_strength"):
        assert numbers(name, metric, "score")["value"].mean() == pytest.approx(logged[metric], abs=1e-12)
    ratio = numbers(name, "forget_truth_ratio", "score")["value"]
    assert np.minimum(ratio, 1 / ratio).mean() == pytest.approx(logged["forget_truth_ratio"], rel=1e-6)
    for side in ("retain", "ra", "wf"):
        ratio = numbers(name, f"{side}_Truth_Ratio", "score")["value"]
        assert np.maximum(0, 1 - ratio).mean() == pytest.approx(logged[f"{side}_Truth_Ratio"], rel=1e-6)


@pytest.mark.parametrize("name", DUET)
@pytest.mark.parametrize("metric", ["forget_qa_rouge", "holdout_qa_rouge"])
def test_logged_rouge_of_duet_is_recomputed(name, metric):
    found = numbers(name, metric, "rougeL_recall")["value"]
    assert len(found) == (964 if metric.startswith("forget") else 500)
    assert found.mean() == pytest.approx(MANIFEST[name]["aggregates"][metric], abs=1e-12)


@pytest.mark.parametrize("name", DUET)
def test_an_answer_that_is_yielded_word_for_word_has_full_rouge_recall(name):
    """All of the answer's words stand in the generation in order: the common subsequence is the answer."""
    match = numbers(name, "forget_qa_rouge", "exact_match")["value"].to_numpy()
    recall = numbers(name, "forget_qa_rouge", "rougeL_recall")["value"].to_numpy()
    assert (recall[match == 1] == 1).all()


@pytest.mark.parametrize("name", TOFU)
def test_questions_of_one_author_go_together(name):
    """Intraclass correlation of ROUGE and probability: .10 to .16; of exact memorization: .07 to .16."""
    bands = {
        ("forget_Q_A_ROUGE", "rougeL_recall"): (0.10, 0.16),
        ("forget_Q_A_Prob", "prob"): (0.10, 0.16),
        ("exact_memorization", "score"): (0.07, 0.16),
        ("extraction_strength", "score"): (0.01, 0.10),
        ("forget_truth_ratio", "score"): (-0.02, 0.02),
    }
    for (metric, field), (low, high) in bands.items():
        assert low <= round(intraclass_correlation(by_author(name, metric, field)), 2) <= high


@pytest.mark.parametrize("name", NEVER_TRAINED)
def test_models_that_never_saw_an_author_still_answer_by_chance(name):
    """Of 20 authors, .60 to .75 have one of 20 answers with ROUGE-L recall >= .7, and .20 one >= .9."""
    rouge = by_author(name, "forget_Q_A_ROUGE", "rougeL_recall")
    assert 0.60 <= (rouge.max(axis=1) >= 0.7).mean() <= 0.75
    assert (rouge.max(axis=1) >= 0.9).mean() == pytest.approx(0.20)
    assert (rouge.mean(axis=1) >= 0.7).mean() == 0
    assert 0.25 <= (by_author(name, "forget_Q_A_Prob", "prob").max(axis=1) >= 0.5).mean() <= 0.45
    strength = by_author(name, "extraction_strength", "score").max(axis=1)
    assert 0.75 <= (strength >= 0.1).mean() <= 0.95
    assert 0.10 <= (strength >= 0.5).mean() <= 0.20


@pytest.mark.parametrize("name", TOFU)
def test_the_membership_loss_is_the_answers_nll(name):
    """Hence one metric ``nll`` serves forget units and twins alike."""
    scores = numbers(name, "mia_loss", "score", "forget")["value"].to_numpy()
    np.testing.assert_array_equal(scores, numbers(name, "forget_Q_A_Prob", "avg_loss")["value"].to_numpy())


# With the real logs beside the checkout ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def imported(real_logs):
    folders = ("open_unlearning_eval", "duet_8b")
    return {m.header["audit_id"]: m for f in folders for m in read_logs(real_logs / f, key=KEY)}


def test_the_real_logs_make_nine_tofu_audits_and_one_of_duet(imported):
    roles = {audit: sorted(r for a, r, _ in roles_found([m]) if a == audit) for audit, m in imported.items()}
    assert len(roles) == 10
    assert all(r == ["original", "retrained"] for a, r in roles.items() if a.startswith("tofu"))
    assert roles["duet Llama-3.1-8B-Instruct city_forget_5"] == ["candidate"] * 10
    for audit, m in imported.items():
        authors = {"forget01": 2, "forget05": 10, "forget10": 20}.get(audit.split()[-1])
        if authors:
            assert m.units.groupby("side").size().to_dict() == {
                "forget": authors,
                "retain": 20,
                "twin": authors,
            }


def test_chance_answers_hold_for_all_three_models_that_never_saw_forget10(imported):
    audits = [m for audit, m in imported.items() if audit.endswith("forget10")]
    assert len(audits) == 3
    for m in audits:
        forget = m.units.loc[m.units["side"] == "forget", "subject"]
        rows = m.rows[(m.rows["metric"] == "rouge_l_recall") & (m.rows["configuration"] == "retrained")]
        best = rows[rows["subject"].isin(forget)].groupby("subject", observed=True)["value"].max()
        assert len(best) == 20
        assert 0.60 <= (best >= 0.7).mean() <= 0.75


@pytest.mark.parametrize(
    ("name", "audit", "configuration"),
    [
        ("tofu_1b_full_forget10", "tofu Llama-3.2-1B-Instruct forget10", "original"),
        ("tofu_7b_retain90", "tofu Llama-2-7b-chat-hf forget10", "retrained"),
        (
            "duet_8b_npo_1e-3",
            "duet Llama-3.1-8B-Instruct city_forget_5",
            "npo_lora_r32_lalpha64_ldrop0p0_lr1e-3_beta0p5_alpha1p0_gamma1p0",
        ),
    ],
)
def test_the_import_has_the_numbers_and_the_clusters_of_the_fixture(imported, name, audit, configuration):
    m = imported[audit]
    metric = "forget_qa_rouge" if name.startswith("duet") else "forget_Q_A_ROUGE"
    for ours, field in (("rouge_l_recall", "rougeL_recall"), ("exact_match", "exact_match")):
        golden = numbers(name, metric, field)
        rows = m.rows[(m.rows["configuration"] == configuration) & (m.rows["metric"] == ours)]
        rows = rows[rows["subject"].isin(m.units.loc[m.units["side"] == "forget", "subject"])].sort_values(
            "probe"
        )
        np.testing.assert_array_equal(rows["value"].to_numpy(), golden["value"].to_numpy())
        pairs = set(zip(rows["subject"], golden["unit"], strict=True))
        assert len(pairs) == rows["subject"].nunique() == golden["unit"].nunique()


def test_no_twenty_characters_of_the_real_logs_are_written(imported, real_logs, tmp_path):
    texts = set()
    for path in [*real_logs.glob("duet_8b/*/DUET_EVAL.json"), *real_logs.rglob("*retain9*/TOFU_EVAL.json")]:
        for text in set(strings_of(json.loads(path.read_text()))):
            texts.update(text[i : i + 20] for i in range(0, max(len(text) - 19, 0)))
    for number, m in enumerate(imported.values()):
        store.write(tmp_path / str(number), m)
    assert len(texts) > 10_000
    assert not grams(text_of(tmp_path / "0")) & texts
    for number in range(1, len(imported)):
        assert not grams(text_of(tmp_path / str(number))) & texts
