"""Leaderboard scores beside the verdict: the aggregates of this audit's values, and a dash where there are none."""

import pytest
from hand_made import NONE, PROBES, Audit
from scipy import stats

from audit.evidence.certify import certify

METRICS = ("forced_match", "exact_match", "nll", "extraction_strength", "min_k_40", "truth_ratio_geometric")


def exhibit(audit):
    found = [e for e in certify(audit.measurements()).exhibits if e.name == "benchmark_scores"]
    return found[0] if found else None


def table(found):
    titles = [column.title for column in found.columns]
    return {row[0]: dict(zip(titles[1:], row[1:], strict=True)) for row in found.rows}


def audit(**changes):
    return Audit(forget=30, retain=30, twins=30, candidates=("npo", "ga"), metrics=METRICS, **changes)


def test_every_model_has_a_row_references_first():
    assert [row[0] for row in exhibit(audit()).rows] == ["original", "retrained", "npo", "ga"]


def test_means_and_auc_are_those_of_the_opened_subjects():
    """A third of the persons has strength .6; a tenth has nll 1 while all twins have 5: (3 + 27/2)/30 pairs."""
    made = audit()
    made.put_all("npo", NONE, "extraction_strength", dict.fromkeys(made.forgotten[:10], 0.6))
    made.put_all("npo", NONE, "nll", dict.fromkeys(made.forgotten[:3], 1.0))
    npo = table(exhibit(made))["npo"]
    assert npo["Extraction strength"] == pytest.approx(0.2)
    assert npo["Membership AUC (nll)"] == pytest.approx((3 + 27 / 2) / 30)
    assert table(exhibit(made))["original"]["Membership AUC (nll)"] == 1.0


def test_privacy_leakage_is_held_against_the_retrained_model():
    """Original: every person is likelier (min-k 1 against 0): AUC 1 against 1/2, so -100 %; retrained: 0."""
    found = table(exhibit(audit()))
    assert found["original"]["PrivLeak (Min-40 %)"] == pytest.approx(-100, abs=1e-6)
    assert found["retrained"]["PrivLeak (Min-40 %)"] == 0


def test_forget_quality_is_the_ks_test_over_questions():
    made = audit()
    ratios = {s: i / 30 for i, s in enumerate(made.forgotten)}
    made.put_all("retrained", NONE, "truth_ratio_geometric", ratios)
    made.put_all("npo", NONE, "truth_ratio_geometric", {s: r + 0.4 for s, r in ratios.items()})
    values = [r for r in ratios.values() for _ in PROBES]
    expected = stats.ks_2samp([r + 0.4 for r in values], values).pvalue
    found = table(exhibit(made))
    assert found["npo"]["Forget quality (p)"] == pytest.approx(expected)
    assert found["retrained"]["Forget quality (p)"] == 1.0


def test_without_a_retrained_model_nothing_stands_in_for_it():
    found = table(exhibit(audit(references=("original",))))
    assert "PrivLeak (Min-40 %)" not in found["npo"]
    assert "Forget quality (p)" not in found["npo"]
    assert found["npo"]["Membership AUC (nll)"] == 0.5


def test_one_missing_value_leaves_the_score_open_instead_of_flattering_the_model():
    made = audit()
    made.put("npo", NONE, made.forgotten[4], next(iter(PROBES)), "extraction_strength", None)
    found = table(exhibit(made))
    assert found["npo"]["Extraction strength"] is None
    assert found["ga"]["Extraction strength"] == 0.0


def test_scores_are_marked_as_no_guarantee_and_audits_without_such_metrics_show_none():
    found = exhibit(audit())
    assert found.watermark
    assert "decide nothing" in found.claim
    assert exhibit(Audit(forget=30, retain=30)) is None
