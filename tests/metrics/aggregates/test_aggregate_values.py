"""Each aggregate against its formula on numbers small enough to work out by hand, or a slow oracle."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from audit.core.errors import AuditError
from audit.metrics.aggregates.base import AGGREGATES
from audit.metrics.aggregates.means import harmonic_mean
from audit.metrics.aggregates.membership import auc


def table(name, **scores):
    return AGGREGATES.build(name).table(
        {key: np.asarray(value, dtype=float) for key, value in scores.items()}
    )


def code_of(name, **scores):
    with pytest.raises(AuditError) as caught:
        table(name, **scores)
    return caught.value.code


@given(st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=9))
def test_the_harmonic_mean_equals_scipy_s(values):
    assert harmonic_mean(values) == pytest.approx(stats.hmean(values), rel=1e-12)


def test_one_zero_makes_the_harmonic_mean_zero_and_no_values_make_none():
    assert harmonic_mean([1.0, 0.0, 1.0]) == 0.0
    with pytest.raises(ValueError, match="got 0"):
        harmonic_mean([])
    with pytest.raises(ValueError, match=r"minimum -0\.1"):
        harmonic_mean([-0.1, 1.0])


def test_truth_ratios_are_summed_up_three_ways():
    """R = 1/2 and 2: min(R, 1/R) = 1/2 each; max(0, 1 - R) = 1/2 and 0; 1/(1 + R) = 2/3 and 1/3."""
    found = table("truth_ratio_summary", truth_ratio=[0.5, 2.0])
    assert found["closer_to_one"] == pytest.approx(0.5, abs=1e-9)
    assert found["true_better"] == 0.25
    assert found["right_share"] == pytest.approx(0.5)


def test_forget_quality_of_two_against_two_is_a_count_of_orders():
    """Of C(4, 2) = 6 orders 2 keep the lists apart (D = 1), so p = 2/6; interleaved, D = 1/2 and p = 1."""
    assert table("forget_quality", forget=[1, 2], retrained_forget=[3, 4])["forget_quality"] == pytest.approx(
        1 / 3
    )
    assert table("forget_quality", forget=[1, 3], retrained_forget=[2, 4])["forget_quality"] == pytest.approx(
        1.0
    )


def test_forget_quality_does_not_care_which_way_the_ratio_is_written():
    rng = np.random.default_rng(0)
    ours, theirs = rng.lognormal(size=30), rng.lognormal(0.4, size=30)
    direct = table("forget_quality", forget=ours, retrained_forget=theirs)
    assert direct == table("forget_quality", forget=1 / ours, retrained_forget=1 / theirs)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=12), st.lists(st.integers(0, 6), min_size=1, max_size=12)
)
def test_the_auc_equals_scikit_learn_s_with_twins_as_positives(forget, twins):
    labels = [0] * len(forget) + [1] * len(twins)
    assert auc(np.array(forget), np.array(twins)) == pytest.approx(
        roc_auc_score(labels, forget + twins), abs=1e-12
    )


def test_privacy_leakage_is_relative_to_the_retrained_model():
    """AUCs 1 and 1/4: (0 - 3/4) / (3/4) = -100 %. Equal AUCs: 0. AUC 0 against 1/2: (1 - 1/2) / (1/2) = +100 %."""
    null = {"retrained_forget": [2.0], "retrained_twins": [1.0, 1.0, 1.0, 3.0]}
    leak = table("privleak", forget=[0.0], twins=[1.0], **null)
    assert leak["privleak"] == pytest.approx(-100, abs=1e-6)
    assert (leak["membership_auc"], leak["retrained_auc"]) == (1.0, 0.25)
    same = table("privleak", forget=[2.0], twins=[1.0, 1.0, 1.0, 3.0], **null)
    assert same["privleak"] == 0
    half = {"retrained_forget": [1.0], "retrained_twins": [1.0]}
    assert table("privleak", forget=[1.0], twins=[0.0], **half)["privleak"] == pytest.approx(100, abs=1e-6)


def test_a_retrained_auc_of_one_leaves_privacy_leakage_undefined():
    far = {"retrained_forget": [0.0], "retrained_twins": [1.0]}
    assert code_of("privleak", forget=[0.0], twins=[1.0], **far) == "E353"


def test_membership_closeness_is_one_at_the_retrained_model_and_zero_at_the_original():
    null, known = (
        {"retrained_forget": [1, 1], "retrained_twins": [0, 2]},
        {"original_forget": [0], "original_twins": [1]},
    )
    assert (
        table("membership_closeness", forget=[1, 1], twins=[0, 2], **null, **known)["membership_closeness"]
        == 1
    )
    assert table("membership_closeness", forget=[0], twins=[1], **null, **known)["membership_closeness"] == 0
    # AUC 3/4: halfway from 1/2 to 1; AUC 0: as far on the other side, cut at 0
    assert table("membership_closeness", forget=[1, 1, 1, 1], twins=[2, 2, 2, 0], **null, **known) == {
        "membership_closeness": 0.5
    }
    assert table("membership_closeness", forget=[1], twins=[0], **null, **known)["membership_closeness"] == 0
    level = {"original_forget": [1, 1], "original_twins": [0, 2]}
    assert code_of("membership_closeness", forget=[0], twins=[1], **null, **level) == "E353"


def test_model_utility_takes_nine_means_and_dies_with_one_list():
    names = [
        f"{part}_{kind}"
        for part in ("retain", "real_authors", "world_facts")
        for kind in ("probability", "rouge_l_recall", "truth_ratio")
    ]
    half = {name: [0.0, 1.0] if "truth" not in name else [0.5] for name in names}
    assert table("model_utility", **half)["model_utility"] == pytest.approx(0.5)
    # 1/2 eight times and 1/4 once: 9 / (16 + 4)
    assert table("model_utility", **{**half, "retain_rouge_l_recall": [0.25]})[
        "model_utility"
    ] == pytest.approx(9 / 20)
    assert table("model_utility", **{**half, "world_facts_truth_ratio": [3.0]})["model_utility"] == 0


def test_muse_prints_percentages_and_the_measured_privacy_leakage():
    scores = {"forget": [0, 0], "twins": [1, 1], "retrained_forget": [1, 1], "retrained_twins": [0, 2]}
    found = table("muse", verbatim=[0.2, 0.4], knowledge=[0.5], retain_knowledge=[1.0, 0.5], **scores)
    assert found["verbmem"] == pytest.approx(30)
    assert found["knowmem"] == pytest.approx(50)
    assert found["utility"] == pytest.approx(75)
    assert found["privleak"] == pytest.approx(-100, abs=1e-6)  # AUC 1 against 1/2


def semeval(**changes):
    twelve = {
        f"task{t}_{side}_{kind}": [0.2 if side == "forget" else 0.8]
        for t in (1, 2, 3)
        for side in ("forget", "retain")
        for kind in ("regurgitation", "knowledge")
    }
    membership = {"member_nll": [1.0, 1.0], "nonmember_nll": [0.0, 2.0]}
    return table("semeval", **{**twelve, **membership, "mmlu": [0.4, 0.5], **changes})


def test_semeval_s_final_score_is_the_mean_of_its_three_parts():
    """All twelve numbers are .8 after inverting the forget list; AUC 1/2 scores 1; MMLU .45."""
    found = semeval()
    assert found["task_aggregate"] == pytest.approx(0.8)
    assert found["membership"] == pytest.approx(1.0)
    assert found["mmlu"] == pytest.approx(0.45)
    assert found["final"] == pytest.approx((0.8 + 1.0 + 0.45) / 3)


def test_semeval_s_membership_score_falls_on_both_sides_and_one_zero_kills_the_task_part():
    assert semeval(nonmember_nll=[2.0])["membership"] == 0
    assert semeval(nonmember_nll=[0.0])["membership"] == 0
    assert semeval(task3_forget_knowledge=[1.0])["task_aggregate"] == 0


def test_the_published_winner_of_semeval_has_the_mean_of_its_three_parts():
    """AILS-NTUA, 7B: .827, .847, .443 -> .706. One value per number that reaches its published part."""
    every = {
        f"task{t}_{side}_{kind}": [0.173 if side == "forget" else 0.827]
        for t in (1, 2, 3)
        for side in ("forget", "retain")
        for kind in ("regurgitation", "knowledge")
    }
    # AUC = (1 - .847)/2 + 1/2 = .5765: 1153 of 2000 twins above one forget score, the others below
    nonmember = [2.0] * 1153 + [0.0] * 847
    found = table("semeval", **every, member_nll=[1.0], nonmember_nll=nonmember, mmlu=[0.443])
    assert found["membership"] == pytest.approx(0.847)
    assert round(found["final"], 3) == 0.706


def test_rwku_s_tables_are_means_by_level():
    assert table("rwku_forget", level_1=[1, 0], level_2=[0.2], level_3=[0.5, 0.7]) == pytest.approx(
        {"level_1": 50, "level_2": 20, "level_3": 60}
    )
    assert table("rwku_neighbor", level_1=[1], level_2=[0]) == {"level_1": 100, "level_2": 0}
    found = table(
        "rwku_membership",
        **{
            f"{s}_{k}": [-1.0, -3.0]
            for s in ("forget", "retain")
            for k in ("logp", "logp_per_byte", "min_k_plus_plus_20")
        },
    )
    assert set(found.values()) == {-2.0}
    assert len(found) == 6


def fit_inputs(**quality):
    """All three parts equal q / 100 give Q = q."""
    return {
        f"{model}_{part}".lstrip("_"): [value / 100]
        for model, value in quality.items()
        for part in ("probability", "rouge_l_f1", "exact_memorization")
    }


def test_fit_s_scores_are_symmetric_around_the_reference():
    """Q 40 against 80 and 120 % of it: 1 - |1/2 - 1| = .5 and 1 - |1.2 - 1| = .8; from twice the Q on 0."""
    found = table("fit", **fit_inputs(forget=40, retain=60, retrained_forget=80, retrained_retain=50))
    assert found == pytest.approx({"forget_degree": 0.5, "retained_utility": 0.8})
    twice = table("fit", **fit_inputs(forget=90, retain=50, retrained_forget=40, retrained_retain=50))
    assert twice == pytest.approx({"forget_degree": 0.0, "retained_utility": 1.0})


def test_fit_s_quality_is_the_cube_root_of_three_means():
    """Means 1/2, 1/4, 1/8: (1/64)^(1/3) = 1/4; reference 1/2 each: ratio 1/2, score 1/2."""
    scores = fit_inputs(forget=25, retain=50, retrained_forget=50, retrained_retain=50) | {
        "forget_probability": [0.0, 1.0],
        "forget_rouge_l_f1": [0.25],
        "forget_exact_memorization": [0.125],
    }
    assert table("fit", **scores)["forget_degree"] == pytest.approx(0.5)


def test_fit_without_a_reference_quality_is_undefined():
    assert (
        code_of("fit", **fit_inputs(forget=40, retain=60, retrained_forget=0, retrained_retain=50)) == "E353"
    )


def test_fit_s_continual_reference_moves_from_the_original_to_the_retrained_model():
    """After a quarter of the requests: 80 + (40 - 80)/4 = 70 on forget, 60 throughout on retain."""
    scores = fit_inputs(
        forget=35, retain=60, original_forget=80, original_retain=60, retrained_forget=40, retrained_retain=60
    )
    arrays = {key: np.asarray(value, dtype=float) for key, value in scores.items()}
    found = AGGREGATES.build("fit_continual(share=0.25)").table(arrays)
    assert found == pytest.approx({"forget_degree": 0.5, "retained_utility": 1.0})
    with pytest.raises(AuditError, match="share"):
        AGGREGATES.build("fit_continual(share=1.5)")


def test_choice_accuracy_is_reported_above_the_retrained_model_s():
    found = table("choice_accuracy", forget=[1, 1, 1, 0], retrained_forget=[1, 0, 1, 0])
    assert found == {"above_null": 0.25, "accuracy": 0.75, "null": 0.5}


@pytest.mark.parametrize(("samples", "k"), [(1, 1), (5, 2), (6, 6), (7, 3)])
def test_leak_at_k_counts_the_subsets_that_hold_a_leak(samples, k):
    """Brute force over all subsets of size k, and the formula with binomial coefficients."""
    for leaking in range(samples + 1):
        drawn = [True] * leaking + [False] * (samples - leaking)
        subsets = list(combinations(drawn, k))
        share = sum(any(subset) for subset in subsets) / len(subsets)
        found = AGGREGATES.build(f"leak_at_k(k={k})").table({"leaks": np.array([drawn], dtype=float)})
        assert found["leak_at_k"] == pytest.approx(share, abs=1e-12)
        assert share == pytest.approx(1 - comb(samples - leaking, k) / comb(samples, k))


def test_leak_at_k_needs_k_samples_of_every_question():
    leaks = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]])
    assert AGGREGATES.build("leak_at_k(k=2)").table({"leaks": leaks}) == {"leak_at_k": pytest.approx(0.25)}
    with pytest.raises(AuditError) as caught:
        AGGREGATES.build("leak_at_k(k=8)").table({"leaks": leaks})
    assert caught.value.code == "E353"
    with pytest.raises(AuditError, match="at least 1"):
        AGGREGATES.build("leak_at_k(k=0)")
