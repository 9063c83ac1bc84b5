"""The ranking by e_R and the labelled baseline: numbers by hand, words that keep them from being quoted."""

import json
from importlib import resources
from pathlib import Path

import pytest
from hand_made import INT4, NONE, Audit, imported

from audit.evidence.certify import certify

METRICS = ("forced_match", "exact_match", "nll", "exact_memorization")


def exhibit(made, name="froc"):
    return next((e for e in certify(made.measurements()).exhibits if e.name == name), None)


def ranked(shown):
    """Configuration -> its row as a dict; the second column called "at most" belongs to FROC's e_R."""
    titles = [c.title for c in shown.columns]
    titles[titles.index("at most")] = "bound"
    return {row[2]: dict(zip(titles, row, strict=True)) for row in shown.rows}


def census(**changes):
    return Audit(**{"forget": 20, "retain": 10, **changes})


def test_configurations_are_ranked_by_half_of_each_risk():
    """A census of 20 and 10: npo 0.1/2 + 0, simnpo 0 + 0.3/2, ga 0; e_R and its bound are exact."""
    made = census()
    made.leak("npo", INT4, 2)
    made.harm("simnpo", 3)
    shown = exhibit(made)
    rows = ranked(shown)
    assert [row[2] for row in shown.rows] == ["ga", "npo", "simnpo"]
    for name, expected in {"ga": 0.0, "npo": 0.05, "simnpo": 0.15}.items():
        assert rows[name]["e_R"] == pytest.approx(expected)
        assert rows[name]["bound"] == pytest.approx(expected)
    assert (rows["npo"]["Forget"], rows["simnpo"]["Harm"]) == (pytest.approx(0.1), pytest.approx(0.3))
    assert [rows[name]["No."] for name in ("npo", "simnpo", "ga")] == [1, 2, 3]


def test_the_ranking_never_gates():
    """3 of 20 leak, nobody is harmed: e_R is exactly 0.075, below both budgets of 0.1, and a budget is broken."""
    made = census()
    made.leak("simnpo", INT4, 3)
    rows = ranked(exhibit(made))
    assert rows["simnpo"]["bound"] < 0.1
    assert rows["simnpo"]["Valid"] == "no"
    assert "never decides" in exhibit(made).claim


def test_weights_of_the_lock_are_used_and_named():
    made = census(lock={"risk_weights": {"forget": 0.8, "utility": 0.2}})
    made.leak("npo", INT4, 2)
    shown = exhibit(made)
    assert ranked(shown)["npo"]["e_R"] == pytest.approx(0.08)
    assert "0.8 × forgetting risk" in shown.claim
    assert not any("no weights" in note for note in shown.notes)
    assert any("no weights" in note for note in exhibit(census()).notes)


def test_a_configuration_with_a_missing_measurement_ranks_last_without_a_score():
    made = census()
    made.fail("npo", INT4)
    row = exhibit(made).rows[-1]
    assert row[2] == "npo"
    assert row[4] is None
    assert row[5] >= 0.5


def test_margins_stand_beside_the_score_where_their_references_were_measured():
    """One of 20 forgotten persons is known like before under int4: margin 1, mean 1/20, FROC e_R 1/40."""
    made = census(metrics=METRICS)
    made.put_all("npo", INT4, "nll", {"f000": 0.1})
    made.put_all("npo", INT4, "exact_memorization", {"f000": 1.0})
    row = ranked(exhibit(made))["npo"]
    assert row["Margin f"] == pytest.approx(1 / 20)
    assert row["Margin u"] == pytest.approx(0)
    assert row["FROC e_R"] == pytest.approx(1 / 40)
    without = exhibit(census())
    assert ranked(without)["npo"]["FROC e_R"] is None
    assert any("soft margins need" in note for note in without.notes)


def test_imported_logs_are_ranked_too():
    shown = exhibit(imported(Audit()))
    assert len(shown.rows) == 3


# -- the baseline ---------------------------------


def baseline(made):
    return exhibit(made, "froc_reconstruction")


def test_the_baseline_is_labelled_as_ours_and_as_not_valid():
    shown = baseline(census(metrics=METRICS))
    assert "(ours)" in shown.title
    assert "not valid" in shown.watermark
    assert "No verdict rests on it" in shown.claim


def test_measured_miscoverage_stands_beside_each_normaliser():
    """Smallest and largest share of the committed counts, rounded outwards to whole percent."""
    text = (resources.files("audit.risk") / "froc_reconstruction.json").read_text(encoding="utf-8")
    shown = baseline(census(metrics=METRICS))
    assert len(shown.rows) == 3
    for row in shown.rows:
        cells = [c for c in json.loads(text) if c["normaliser"] == row[0]]
        for said, what in zip(row[-2:], ("selected", "listed"), strict=True):
            low, high = (float(part) for part in said.removesuffix(" %").split(" to "))
            shares = [100 * c[what] / c["replications"] for c in cells]
            assert low <= min(shares) < low + 1
            assert high - 1 < max(shares) <= high


def test_the_explanation_page_states_the_same_numbers():
    page = Path(__file__).parents[2] / "docs" / "explanation" / "froc.md"
    text = page.read_text(encoding="utf-8")
    for row in baseline(census(metrics=METRICS)).rows:
        assert f"| {row[0]} | {row[-2]} | {row[-1]} |" in text


def test_it_may_pick_what_this_audit_fails():
    """Unattacked, ga knows less than the others of everybody; under int4 it gives all secrets away.

    Its score is the smallest, so min-max claims at most 1 - 0.05^(1/10) of 10 units; the audit's CUR is 1.
    """
    made = census(metrics=METRICS)
    for name in ("npo", "simnpo"):
        made.put_all(name, NONE, "nll", dict.fromkeys(made.forgotten, 1.0))
    made.leak("ga", INT4, 20)
    row = baseline(made).rows[0]
    assert row[:2] == ("min–max", "No.\u00a03")
    assert row[2] == pytest.approx(1 - 0.05 ** (1 / 10))
    assert row[3:5] == ("FAIL", 1.0)


def test_without_a_retrained_model_there_is_no_target_and_no_baseline():
    assert baseline(census(metrics=METRICS, references=("original",))) is None
    assert baseline(census()) is None
