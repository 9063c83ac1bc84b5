"""Where the order of testing comes from: settled with the plan, learned on tune units, never on what is tested."""

from pathlib import Path

import numpy as np
import pytest
from hand_made import INT4, NONE, Audit

from audit.core.errors import AuditError
from audit.plan.assemble import TUNE, Assembly
from audit.plan.lock import make_lock
from audit.plan.ordering import Ordering, first_level, resolve
from audit.plan.schema import parse_plan
from audit.plan.sizes import ResolvedSizes
from audit.risk.model import ConformalRiskModel

WITH_TUNE = {"forget": {"tune": 3, "calibrate": 9}, "retain": {"tune": 2, "calibrate": 9}, "twin": {}}
WITHOUT = {"forget": {"tune": 0, "calibrate": 9}, "retain": {"tune": 2, "calibrate": 9}, "twin": {}}
NAMES = ("npo", "simnpo", "ga")


def plan(candidates=("npo", "ga"), **changes):
    raw = {"laboratory": {"subject": "tiny"}, "candidates": list(candidates)} | changes
    return parse_plan(raw, base=Path("."))


def resolved(sizes=WITH_TUNE, **changes):
    return resolve(plan(**changes), ResolvedSizes(**sizes))


def refused(function, *args, **changes):
    with pytest.raises(AuditError) as caught:
        function(*args, **changes)
    return caught.value.code


# -- the plan ---------------------------------


@pytest.mark.parametrize(
    ("changes", "sizes", "expected"),
    [
        ({}, WITH_TUNE, Ordering(None, False)),
        ({"score_tune": True}, WITH_TUNE, Ordering(None, True)),
        ({"family": "graphical"}, WITH_TUNE, Ordering("tune", True)),
        ({"family": "fallback"}, WITHOUT, Ordering("plan", False)),
        ({"family": "fixed_sequence", "order": "plan"}, WITH_TUNE, Ordering("plan", False)),
        (
            {"family": "fixed_sequence", "order": "plan", "score_tune": True},
            WITH_TUNE,
            Ordering("plan", True),
        ),
        ({"family": "fixed_sequence", "score_tune": False}, WITH_TUNE, Ordering("plan", False)),
        ({"family": "fixed_sequence", "order": "tune"}, WITH_TUNE, Ordering("tune", True)),
    ],
)
def test_the_order_is_learned_where_there_is_somebody_to_learn_it_on(changes, sizes, expected):
    assert resolved(sizes, **changes) == expected


@pytest.mark.parametrize(
    ("changes", "sizes", "code"),
    [
        ({"order": "plan"}, WITH_TUNE, "E430"),
        ({"family": "bonferroni", "order": "tune"}, WITH_TUNE, "E430"),
        ({"family": "graphical", "order": "tune"}, WITHOUT, "E431"),
        ({"family": "graphical", "order": "tune", "score_tune": False}, WITH_TUNE, "E432"),
        ({"family": "graph([1], [[0]])"}, WITH_TUNE, "E433"),
    ],
)
def test_parts_of_a_plan_that_do_not_fit_together_are_refused(changes, sizes, code):
    assert refused(resolved, sizes, **changes) == code


def test_the_lock_says_where_the_order_comes_from_and_who_is_scored(tmp_path):
    lock = make_lock(plan(), tmp_path)
    assert (lock.content["family"], lock.content["order"], lock.content["score_tune"]) == (
        "holm",
        None,
        False,
    )
    assert not lock.score_tune
    sizes = {"forget": {"tune": 4, "calibrate": 30}, "retain": {"tune": 4, "calibrate": 30}}
    lock = make_lock(plan(family="graphical", sizes=sizes), tmp_path)
    assert lock.content["family"] == "graphical(insurance=0.2)"
    assert lock.content["order"] == "tune"
    assert lock.score_tune


def test_an_order_by_tune_subjects_that_are_not_there_is_no_lock(tmp_path):
    """The tiny laboratory deals nobody to tune."""
    assert refused(make_lock, plan(family="fixed_sequence", order="tune"), tmp_path) == "E431"
    assert make_lock(plan(family="fixed_sequence"), tmp_path).content["order"] == "plan"


@pytest.mark.parametrize(
    ("family", "level"),
    [("holm", 0.0125), ("bonferroni", 0.0125), ("fixed_sequence", 0.05), ("graphical", 0.04 + 0.0025)],
)
def test_the_first_of_four_is_certified_up_to_this_p_value(family, level):
    assert first_level(plan(["npo", "ga", "graddiff", "simnpo"], family=family)) == pytest.approx(level)


# -- the order ---------------------------------


def audit(family="fixed_sequence", order="tune", **changes):
    lock = {"family": family, "order": order, "score_tune": order == "tune"}
    return Audit(tune=4, retain_tune=2, lock=lock, **changes)


def test_the_order_is_that_of_the_tune_risks_under_the_worst_attack():
    """Of four tune persons npo leaks 2 under int4, ga 1 unattacked; simnpo loses one answer of four: .25."""
    made = audit()
    made.put("npo", INT4, "u000", "passport", "forced_match", 1.0)
    made.put("npo", INT4, "u001", "passport", "forced_match", 1.0)
    made.put("ga", NONE, "u001", "passport", "forced_match", 1.0)
    made.put("ga", NONE, "v001", "city", "exact_match", 0.0)
    made.put("simnpo", NONE, "v000", "city", "exact_match", 0.0)
    assembly = Assembly(made.measurements())
    assert assembly.order == ("simnpo", "ga", "npo")
    assert assembly.deciding(NAMES).table.order == (1, 2, 0)
    assert assembly.deciding(("npo", "ga")).table.order == (1, 0)
    tuned = assembly.deciding(NAMES, TUNE).table
    assert [(c.units, c.population) for c in tuned.clauses] == [(4, None), (4, None), (2, None)]
    assert [c.losses.mean(axis=1).tolist() for c in tuned.clauses] == [
        [0, 0, 0.25],
        [0.5, 0, 0],
        [0, 0.25, 0.25],
    ]
    assert tuned.order is None


def test_what_happens_to_those_who_count_does_not_change_the_order():
    made = audit()
    made.put("npo", NONE, "u000", "passport", "forced_match", 1.0)
    before = Assembly(made.measurements()).order
    made.leak("simnpo", INT4, 6)
    made.leak("ga", NONE, 5)
    made.harm("ga", 4)
    assert Assembly(made.measurements()).order == before == ("simnpo", "ga", "npo")


def test_tune_persons_are_outside_the_claim():
    made = audit()
    for person in made.tuned:
        made.put("npo", INT4, person, "passport", "forced_match", 1.0)
    assembly = Assembly(made.measurements())
    clause = assembly.deciding(NAMES).table.clauses[1]
    assert (clause.units, clause.population, clause.losses.sum()) == (6, 6, 0)


def test_the_order_of_the_plan_is_that_of_the_candidates():
    made = audit(order="plan", score_tune=False)
    assembly = Assembly(made.measurements())
    assert assembly.order == NAMES
    assert assembly.deciding(("ga", "npo")).table.order == (1, 0)


def test_a_family_without_order_has_none():
    assembly = Assembly(Audit(tune=4, retain_tune=2).measurements())
    assert assembly.order is None
    assert assembly.deciding(NAMES).table.order is None


def test_references_stand_outside_the_order():
    assembly = Assembly(audit().measurements())
    assert assembly.deciding(("original",)).table.order == (0,)


@pytest.mark.parametrize("changes", [{"score_tune": False}, {"tune": 0}, {"retain_tune": 0}])
def test_an_order_that_nothing_was_measured_for_is_an_error_and_never_the_plans(changes):
    made = audit()
    for name, value in changes.items():
        setattr(made, name, value)
    assembly = Assembly(made.measurements())
    assert refused(lambda: assembly.order) == "E434"
    assert refused(assembly.deciding, NAMES) == "E434"


@pytest.mark.parametrize(
    "lock",
    [
        {"family": "fixed_sequence"},
        {"family": "fixed_sequence", "order": None},
        {"family": "fixed_sequence", "order": "by name"},
        {"family": "holm", "order": "tune"},
    ],
)
def test_a_lock_whose_family_and_order_do_not_fit_is_refused(lock):
    assert refused(Assembly, Audit(lock=lock).measurements()) == "E430"


def test_persons_opened_by_an_earlier_audit_do_not_tune():
    made = audit(before=3)
    assembly = Assembly(made.measurements())
    assert assembly.opened("forget", TUNE) == made.tuned
    assert assembly.seen("forget") == made.opened_before


def test_a_tune_person_that_was_not_scored_counts_as_a_failure_in_the_order():
    made = audit()
    made.put("npo", INT4, "u000", "passport", "forced_match", None)
    assert Assembly(made.measurements()).order == ("simnpo", "ga", "npo")


def test_a_candidate_that_could_not_be_measured_comes_last():
    made = audit()
    made.fail("npo", INT4)
    assembly = Assembly(made.measurements())
    assert assembly.order == ("simnpo", "ga", "npo")
    valid = ConformalRiskModel(family="fixed_sequence").fit(assembly.deciding(NAMES).table).valid_
    assert valid.tolist() == [False, True, True]
    assert np.all(assembly.deciding(NAMES, TUNE).table.clauses[1].measured == [False, True, True])
