"""Depths beside the verdict: means over the same questions for every model, a dash where one is missing."""

from __future__ import annotations

import pytest
from hand_made import INT4, NONE, PROBES, Audit

from audit.evidence.certify import certify

METRICS = ("forced_match", "exact_match", "patching_depth")


def exhibit(audit):
    return next((e for e in certify(audit.measurements()).exhibits if e.name == "patching_depth"), None)


def audit():
    """Ten persons: the retrained model is 1 deep; of npo half of the persons .2 and half .6 deep, under int4 all .1."""
    made = Audit(forget=10, retain=10, candidates=("npo", "ga"), metrics=METRICS)
    for cell in (NONE, INT4):
        made.put_all("retrained", cell, "patching_depth", dict.fromkeys(made.forgotten, 1.0))
        for name in ("original", "ga"):
            made.put_all(name, cell, "patching_depth", dict.fromkeys(made.forgotten, 0.0))
    made.put_all(
        "npo", NONE, "patching_depth", {s: 0.2 if i % 2 else 0.6 for i, s in enumerate(made.forgotten)}
    )
    made.put_all("npo", INT4, "patching_depth", dict.fromkeys(made.forgotten, 0.1))
    return made


def rows(made):
    return {row[0]: row[1:] for row in exhibit(made).rows}


def test_each_model_has_its_mean_under_each_attack():
    found = rows(audit())
    assert list(found) == ["original", "retrained", "npo", "ga"]
    assert found["npo"] == (pytest.approx(0.4), pytest.approx(0.1))
    assert found["retrained"] == (1, 1)
    assert found["original"] == (0, 0)


def test_a_question_without_a_depth_for_anybody_is_left_out_and_counted():
    made = audit()
    for name in made.configurations:
        made.put(name, NONE, made.forgotten[0], next(iter(PROBES)), "patching_depth", None)
    assert rows(made)["npo"][0] == pytest.approx((0.4 * 20 - 0.6) / 19)
    assert "19 (none), 20 (" in exhibit(made).notes[0]


def test_a_question_that_one_model_lacks_leaves_its_mean_open():
    made = audit()
    made.put("npo", NONE, made.forgotten[0], next(iter(PROBES)), "patching_depth", None)
    assert rows(made)["npo"][0] is None
    assert rows(made)["ga"][0] == 0


def test_without_the_metric_there_is_nothing_to_show():
    assert exhibit(Audit(forget=10, retain=10)) is None


def test_it_decides_nothing_and_says_so():
    assert exhibit(audit()).watermark
    assert "decide nothing" in exhibit(audit()).claim
