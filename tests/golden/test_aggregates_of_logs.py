"""What published logs state of a model must come out of their own per-sample values, to the last digits."""

from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.aggregates.base import AGGREGATES
from audit.metrics.aggregates.means import harmonic_mean
from audit.metrics.aggregates.membership import auc

FIXTURES = ("tofu_1b_full_forget10", "tofu_1b_retain90", "tofu_7b_retain90")
LISTS = {"retain": "retain", "ra": "real_authors", "wf": "world_facts"}


def table(name, **scores):
    return AGGREGATES.build(name).table(scores)


def utility_inputs(log):
    found = {}
    for short, words in LISTS.items():
        probability = "retain_Q_A_Prob" if short == "retain" else f"{short}_Q_A_Prob_normalised"
        found[f"{words}_probability"] = log.get(probability, "prob")
        found[f"{words}_rouge_l_recall"] = log.get(f"{short}_Q_A_ROUGE", "rougeL_recall")
        found[f"{words}_truth_ratio"] = log.get(f"{short}_Truth_Ratio")
    return found


def check_model_utility(log):
    found = table("model_utility", **utility_inputs(log))
    assert found["model_utility"] == pytest.approx(log.logged["model_utility"], abs=1e-9)
    assert found["real_authors_truth_ratio"] == pytest.approx(log.logged["ra_Truth_Ratio"], abs=1e-9)


def check_truth_ratios(log):
    """From the logged losses of the paraphrased and the perturbed answers, then summarised."""
    for short, right in (("forget", "PARA_Prob"), ("retain", "PARA_Prob"), ("ra", "Prob"), ("wf", "Prob")):
        name = "forget_truth_ratio" if short == "forget" else f"{short}_Truth_Ratio"
        wrong = log.get(f"{short}_Q_A_PERT_Prob", "avg_loss").mean(axis=1)
        right = log.get(f"{short}_Q_A_{right}", "avg_loss")
        np.testing.assert_allclose(np.exp(-wrong) / (np.exp(-right) + 1e-10), log.get(name), rtol=1e-12)
        found = table("truth_ratio_summary", truth_ratio=log.get(name))
        summary = found["closer_to_one" if short == "forget" else "true_better"]
        assert summary == pytest.approx(log.logged[name], rel=1e-12)


def check_membership(log):
    attacks = [metric for metric, _, part in log.values if metric.startswith("mia_") and part == "forget"]
    assert len(attacks) >= 5
    for attack in attacks:
        forget, twins = (log.get(attack, part=part) for part in ("forget", "holdout"))
        found = table("membership_auc", forget=forget, twins=twins)["membership_auc"]
        assert found == pytest.approx(log.logged[attack], abs=1e-12)


def check_against_retrained(full, retrained):
    truth = {
        "forget": full.get("forget_truth_ratio"),
        "retrained_forget": retrained.get("forget_truth_ratio"),
    }
    assert table("forget_quality", **truth)["forget_quality"] == pytest.approx(
        full.logged["forget_quality"], rel=1e-9
    )
    leak = table(
        "privleak",
        forget=full.get("mia_min_k", part="forget"),
        twins=full.get("mia_min_k", part="holdout"),
        retrained_forget=retrained.get("mia_min_k", part="forget"),
        retrained_twins=retrained.get("mia_min_k", part="holdout"),
    )
    assert leak["privleak"] == pytest.approx(full.logged["privleak"], abs=1e-9)


@pytest.mark.parametrize("name", FIXTURES)
@pytest.mark.parametrize("check", [check_model_utility, check_truth_ratios, check_membership])
def test_a_committed_log_states_what_its_samples_give(fixtures, name, check):
    check(fixtures(name))


def test_forget_quality_and_privacy_leakage_of_the_committed_pair_are_the_logged_ones(fixtures):
    check_against_retrained(fixtures("tofu_1b_full_forget10"), fixtures("tofu_1b_retain90"))


def test_the_published_numbers_of_the_1b_model_are_met(fixtures):
    """3.905e-22 and 0.5992 for Llama-3.2-1B trained on everything, forget10; AUCs of the retrained model."""
    full, retrained = fixtures("tofu_1b_full_forget10"), fixtures("tofu_1b_retain90")
    truth = {
        "forget": full.get("forget_truth_ratio"),
        "retrained_forget": retrained.get("forget_truth_ratio"),
    }
    assert f"{table('forget_quality', **truth)['forget_quality']:.3e}" == "3.905e-22"
    assert round(table("model_utility", **utility_inputs(full))["model_utility"], 4) == 0.5992
    expected = {"mia_loss": 0.387, "mia_zlib": 0.309, "mia_min_k": 0.383, "mia_min_k_plus_plus": 0.478}
    for attack, value in expected.items():
        found = auc(retrained.get(attack, part="forget"), retrained.get(attack, part="holdout"))
        assert round(found, 3) == value


def test_a_retrained_model_is_no_leak_against_itself_but_reads_23_against_a_half(fixtures):
    """The default of open-unlearning where it finds no retrained model; the log itself says +23.477."""
    log = fixtures("tofu_1b_retain90")
    forget, twins = (log.get("mia_min_k", part=part) for part in ("forget", "holdout"))
    own = table("privleak", forget=forget, twins=twins, retrained_forget=forget, retrained_twins=twins)
    assert own["privleak"] == 0
    assert (0.5 - auc(forget, twins)) / (0.5 + 1e-10) * 100 == pytest.approx(log.logged["privleak"], abs=1e-9)


@pytest.mark.parametrize("check", [check_model_utility, check_truth_ratios, check_membership])
def test_every_real_log_states_what_its_samples_give(real_pair, check):
    for log in real_pair:
        check(log)


def test_forget_quality_and_privacy_leakage_of_every_real_pair_are_the_logged_ones(real_pair):
    check_against_retrained(*real_pair)


def test_forget_quality_has_the_published_floor_where_distributions_do_not_meet():
    """Two-sided exact KS at n = m = 400 without overlap: 2 / C(800, 400) = 1.06e-239."""
    low, high = np.linspace(0, 1, 400), np.linspace(2, 3, 400)
    found = table("forget_quality", forget=low, retrained_forget=high)["forget_quality"]
    assert f"{found:.2e}" == "1.06e-239"


def test_the_composites_of_152_published_models_are_their_harmonic_means(unlearning_depth):
    """Memorization, utility, privacy and model utility of open-unlearning, printed to full precision there."""
    assert len(unlearning_depth) == 152
    for row in unlearning_depth:
        parts = {
            "mem": ("one_minus_es", "one_minus_em", "one_minus_paraprob", "one_minus_truth"),
            "utility": ("model_utility", "fluency"),
            "privacy_mia": ("s_loss", "s_zlib", "s_mink", "s_minkpp"),
            "model_utility": [f"{s}_{k}" for s in LISTS for k in ("q_prob", "q_rouge", "truth_ratio")],
        }
        for whole, names in parts.items():
            assert harmonic_mean(row[name] for name in names) == pytest.approx(row[whole], abs=1e-9)


def test_the_composites_take_their_parts_as_published(unlearning_depth):
    """One probe per list that has the list's mean gives the row's own composite."""
    for row in unlearning_depth[1:40]:
        truth = 1 - row["one_minus_truth"]  # mean of 1 / (1 + R)
        memorization = table(
            "open_unlearning_memorization",
            extraction_strength=np.array([1 - row["one_minus_es"]]),
            exact_memorization=np.array([1 - row["one_minus_em"]]),
            paraphrased_probability=np.array([1 - row["one_minus_paraprob"]]),
            truth_ratio=np.array([1 / truth - 1]),
        )
        assert memorization["memorization"] == pytest.approx(row["mem"], abs=1e-9)
        privacy = table(
            "open_unlearning_privacy",
            nll=np.array([row["s_loss"]]),
            zlib=np.array([row["s_zlib"]]),
            min_k=np.array([row["s_mink"]]),
            min_k_plus_plus=np.array([row["s_minkpp"]]),
        )
        assert privacy["privacy"] == pytest.approx(row["privacy_mia"], abs=1e-9)
        nine = {
            f"{words}_{ours}": np.array(
                [row[f"{short}_{theirs}"] if ours != "truth_ratio" else 1 - row[f"{short}_{theirs}"]]
            )
            for short, words in LISTS.items()
            for ours, theirs in (
                ("probability", "q_prob"),
                ("rouge_l_recall", "q_rouge"),
                ("truth_ratio", "truth_ratio"),
            )
        }
        found = table("open_unlearning_utility", **nine, fluency=np.array([row["fluency"]]))
        assert found["utility"] == pytest.approx(row["utility"], abs=1e-9)
