"""FROC's margins and averages of an audit made by hand, worked out from its nll and accuracy."""

from math import log, log1p

import numpy as np
import pytest
from hand_made import INT4, NONE, Audit

from audit.core.errors import AuditError
from audit.plan import froc
from audit.plan.assemble import Assembly
from audit.plan.lock import make_lock
from audit.plan.schema import parse_plan
from audit.risk.froc import EQUAL, Weights

METRICS = ("forced_match", "exact_match", "nll", "exact_memorization")


def audit(**changes):
    """Known answers have nll 0.1 and accuracy 1, unknown ones nll 5 and accuracy 0."""
    return Audit(**{"metrics": METRICS, **changes})


def of(made):
    return Assembly(made.measurements())


def forget(made, configuration, cell, subject, nll, accuracy):
    made.put_all(configuration, cell, "nll", {subject: nll})
    made.put_all(configuration, cell, "exact_memorization", {subject: accuracy})


def test_a_forgotten_person_counts_by_its_distance_from_the_retrained_model():
    """s = 4 - 0.5 under npo, 5 under retrained: margin softplus(1.5); everybody else is at the reference."""
    made = audit()
    forget(made, "npo", INT4, "f002", 4.0, 0.5)
    plain, attacked = froc.forget_margins(of(made))
    assert plain.losses.sum() == 0
    expected = (log1p(np.exp(1.5)) - log(2)) / (5 - log(2))
    np.testing.assert_allclose(attacked.losses[0], [0, 0, expected, 0, 0, 0])
    assert attacked.losses[1:].sum() == 0


def test_a_retained_person_counts_by_its_distance_from_the_original():
    """Original: 0.1 - 1 = -0.9; npo: 3 - 0 = 3 on one of two probes, so 1.95 in the mean of both."""
    made = audit()
    made.put("npo", NONE, "r001", "city", "nll", 3.0)
    made.put("npo", NONE, "r001", "city", "exact_memorization", 0.0)
    clause = froc.utility_margins(of(made))
    expected = (log1p(np.exp(1.95)) - log(2)) / (5 - log(2))
    np.testing.assert_allclose(clause.losses[0], [0, expected, 0, 0], atol=1e-12)
    assert clause.population == 4
    assert clause.binary is False


def test_margins_need_their_reference_and_their_metrics():
    assert froc.forget_margins(of(audit(references=("original",)))) == ()
    assert froc.utility_margins(of(audit(references=("retrained",), header={"known": {}}))) is None
    assert froc.forget_margins(of(Audit())) == ()
    assert froc.utility_margins(of(Audit())) is None


def test_a_candidate_without_retain_scores_counts_as_not_measured():
    made = audit()
    made.fail("npo", NONE, side="retain")
    assert froc.utility_margins(of(made)).measured.tolist() == [False, True, True]


def test_the_published_score_is_taken_from_averages_against_the_retrained_models():
    """simnpo and ga show what retrained shows, nll 5 and accuracy 0; npo nll 4 and accuracy 0.5 on everybody.

    Best accuracy 0.5, so the target log 5 + 0.5 is the score of simnpo and ga, and npo lies log 5 + 0.5 - log 4
    below it. All keep what they must: r = 0.
    """
    made = audit()
    for subject in made.forgotten:
        forget(made, "npo", NONE, subject, 4.0, 0.5)
    found = froc.averages(of(made))
    short = log(5) + 0.5 - log(4)
    expected = [log1p(np.exp(short)) / 2 + log(2) / 2, log(2), log(2)]
    np.testing.assert_allclose(found.e_r, expected)
    assert found.units == 4  # six forget units, four retain units


def test_an_average_with_a_hole_in_it_is_none():
    made = audit()
    made.put("npo", NONE, "f000", "city", "nll", None)
    assert np.isnan(froc.averages(of(made)).e_r).tolist() == [True, False, False]
    assert froc.averages(of(audit(references=("original",)))) is None
    assert froc.averages(of(Audit())) is None


def test_weights_are_the_locks_and_one_half_where_it_names_none():
    named = {"risk_weights": {"forget": 0.8, "utility": 0.2}}
    assert froc.weights_of(of(audit(lock=named))) == Weights(0.8, 0.2)
    assert froc.weights_of(of(audit())) == EQUAL == Weights(0.5, 0.5)
    for wrong in ({"forget": 0.8, "utility": 0.8}, {"forgetting": 1.0}):
        with pytest.raises(AuditError, match="E450"):
            froc.weights_of(of(audit(lock={"risk_weights": wrong})))


# -- in the plan ---------------------------------


def planned(tmp_path, **changes):
    plan = {"laboratory": {"subject": "tiny"}, "candidates": ["npo"]}
    return parse_plan(plan | changes, base=tmp_path)


def test_weights_are_locked_with_the_plan(tmp_path):
    heavy = planned(tmp_path, risk_weights={"forget": 0.8, "utility": 0.2})
    locks = [make_lock(plan, tmp_path) for plan in (planned(tmp_path), heavy)]
    assert locks[0].digest != locks[1].digest
    assert locks[0].content["risk_weights"] is None
    assert froc.weights_of(of(audit(lock={"risk_weights": locks[1].content["risk_weights"]}))) == Weights(
        0.8, 0.2
    )
    assert froc.weights_of(of(audit(lock={"risk_weights": None}))) == EQUAL


@pytest.mark.parametrize("weights", [{"forget": 0.8}, {"forget": -1, "utility": 2}, {"forgett": 1}])
def test_a_plan_with_other_weights_than_shares_of_one_is_refused(tmp_path, weights):
    with pytest.raises(AuditError) as caught:
        planned(tmp_path, risk_weights=weights)
    assert caught.value.code == "E104"
    assert "risk_weights" in caught.value.cause
