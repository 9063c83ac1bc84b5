"""What is learned from tune units: their losses only, under the attacks they were scored under."""

import numpy as np
from hand_made import INT4, NONE, Audit

from audit.plan.assemble import Assembly
from audit.plan.tuned import tuned


def audit(**changes):
    return Audit(**{"tune": 4, "retain_tune": 2, **changes})


def of(made):
    return tuned(Assembly(made.measurements()))


def test_each_candidate_counts_under_its_own_worst_attack():
    """npo loses one of four unattacked and two under int4, simnpo three unattacked and none under int4."""
    made = audit()
    for configuration, cell, subjects in (
        ("npo", NONE, ["u000"]),
        ("npo", INT4, ["u001", "u002"]),
        ("simnpo", NONE, ["u000", "u001", "u002"]),
    ):
        for subject in subjects:
            made.put(configuration, cell, subject, "passport", "forced_match", 1.0)
    for subject in ("v000", "v001"):
        made.put("ga", NONE, subject, "city", "exact_match", 0.0)
    found = of(made)
    assert found.rows == {"npo": 0, "simnpo": 1, "ga": 2}
    np.testing.assert_array_equal(found.forget, [[0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
    assert found.utility.mean(axis=1).tolist() == [0, 0, 0.5]
    assert set(found.cells) == {NONE, INT4}


def test_calibrate_units_leave_no_trace():
    made = audit()
    before = of(made)
    made.leak("npo", INT4, 6)
    made.harm("npo", 4)
    after = of(made)
    np.testing.assert_array_equal(before.forget, after.forget)
    np.testing.assert_array_equal(before.utility, after.utility)


def test_without_scores_or_without_tune_units_there_is_nothing_to_learn():
    assert of(audit(score_tune=False)) is None
    assert of(audit(tune=0)) is None
    assert of(audit(retain_tune=0)) is None


def test_a_candidate_that_was_not_measured_is_left_out():
    made = audit()
    made.fail("simnpo", INT4)
    assert of(made).rows == {"npo": 0, "ga": 1}


def test_an_attack_without_tune_scores_stands_aside():
    made = audit()
    for configuration in made.configurations:
        for subject in made.tuned:
            made.put(configuration, INT4, subject, "passport", "forced_match", None)
    assert of(made).cells == (NONE,)


def test_a_unit_scored_under_no_candidate_goes_and_one_missing_under_some_counts_against_them():
    made = audit()
    for configuration in made.configurations:
        made.put(configuration, NONE, "u003", "passport", "forced_match", None)
        made.put(configuration, INT4, "u003", "passport", "forced_match", None)
    made.put("npo", INT4, "u000", "passport", "forced_match", None)
    found = of(made)
    assert found.forget.shape == (3, 3)
    np.testing.assert_array_equal(found.forget[0], [np.nan, 0, 0])  # int4 is npo's worst attack
