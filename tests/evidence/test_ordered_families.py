"""Certificates of ordered families: who is listed, what the order was, and what is said of it."""

import pytest
from hand_made import INT4, NONE, Audit
from scipy.stats import hypergeom

from audit.evidence.certificate import Certificate
from audit.evidence.certify import certify
from audit.report import wording

DRAWN = {"forget": 60, "sealed": 20, "retain": 60, "retain_sealed": 20}  # 60 of 80: 8 may leak
NAMES = ("npo", "simnpo", "ga")


def audit(family="fixed_sequence", order="plan", **changes):
    return Audit(**DRAWN, lock={"family": family, "order": order}, **changes)


def listed(certificate):
    return [c.configuration for c in certificate.valid_set]


def test_a_fixed_sequence_lists_at_delta_what_holm_leaves_out():
    """Four leaks of 60 have p = P(X <= 4 | 9 of 80), between .05 / 3 and .05."""
    p = hypergeom.cdf(4, 80, 9, 60)
    assert 0.05 / 3 < p <= 0.05
    made = audit()
    for name in NAMES:
        made.leak(name, INT4, 4)
    certificate = certify(made.measurements())
    assert listed(certificate) == list(NAMES)
    made.lock = {"family": "holm"}
    assert listed(certify(made.measurements())) == []


def test_what_stands_behind_a_failure_is_not_listed_and_told_why():
    made = audit()
    made.leak("npo", NONE, 30)
    certificate = certify(made.measurements())
    assert listed(certificate) == []
    assert certificate.configurations[1].reasons == (
        "the order did not reach it: one that stands before it was not certified",
    )
    assert certificate.configurations[1].p_value <= 0.05 / 3
    made.lock = {"family": "graphical(insurance=0.2)", "order": "plan"}
    assert listed(certify(made.measurements())) == ["simnpo", "ga"]  # p of no leak among 60 is below .01 / 3


def test_a_learned_order_saves_what_the_plans_order_loses():
    made = audit(order="tune", tune=10, retain_tune=5)
    for person in made.tuned[:5]:
        made.put("npo", NONE, person, "passport", "forced_match", 1.0)
    made.leak("npo", NONE, 30)
    certificate = certify(made.measurements())
    assert listed(certificate) == ["simnpo", "ga"]
    assert (certificate.order_source, certificate.order) == ("tune", ("simnpo", "ga", "npo"))
    assert ("forget: tune", 10) in certificate.units
    assert "tested by fixed_sequence, in an order learned on tune subjects" in certificate.sentences[0]


def test_the_certificate_keeps_family_and_order():
    certificate = certify(audit("graphical(insurance=0.2)").measurements())
    assert (certificate.family, certificate.order_source) == ("graphical(insurance=0.2)", "plan")
    assert certificate.order == NAMES
    assert Certificate.from_json(certificate.to_json()) == certificate
    assert "tested by graphical(insurance=0.2), in the order of the plan" in certificate.sentences[0]
    plain = certify(Audit(**DRAWN).measurements())
    assert (plain.order_source, plain.order) == ("", ())
    assert "tested by holm;" in plain.sentences[0]


def test_listed_by_the_order_alone_is_said_to_hold_at_the_locked_budget_only():
    """Four leaks: the bound at .05 / 3 lies above the budget of a tenth, the test at .05 rejects."""
    bound = max(m for m in range(81) if hypergeom.cdf(4, 80, m, 60) > 0.05 / 3) / 80
    assert bound == 0.1125
    made = audit()
    made.leak("npo", INT4, 4)
    certificate = certify(made.measurements())
    first = certificate.configurations[0]
    assert first.in_valid_set
    assert first.cur == pytest.approx(bound)
    assert (
        "is at most 0.1 (certified at the locked budgets, not below; simultaneous bound 0.113)"
        in (certificate.sentences[0])
    )
    assert first not in certificate.valid_at(0.1)
    assert (
        wording.listing(certificate, first) == "in the valid set by fixed_sequence at the locked budgets only"
    )


def test_a_graph_of_ones_own_lists_candidates_and_leaves_references_out():
    chain = "graph([1, 0, 0], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])"
    made = audit(chain)
    made.leak("simnpo", NONE, 30)
    certificate = certify(made.measurements())
    assert listed(certificate) == ["npo"]
    assert [r.in_valid_set for r in certificate.references] == [False, False]


def test_the_order_is_an_exhibit_with_the_tune_risks_it_was_learned_from():
    """npo leaks half of the tune persons, ga loses one of four tune answers: 1 / 4."""
    made = audit(order="tune", tune=4, retain_tune=2)
    for person in made.tuned[:2]:
        made.put("npo", INT4, person, "passport", "forced_match", 1.0)
    made.put("ga", NONE, "v000", "city", "exact_match", 0.0)
    made.leak("ga", NONE, 30)
    certificate = certify(made.measurements())
    shown = next(e for e in certificate.exhibits if e.name == "order")
    assert [row[:5] for row in shown.rows] == [
        (1, 2, "simnpo", 0.0, 0.0),
        (2, 3, "ga", 0.0, 0.25),
        (3, 1, "npo", 0.5, 0.0),
    ]
    assert [row[6] for row in shown.rows] == ["yes", "no", "no"]
    assert "learned on 4 forget and 2 retain tune subjects" in shown.claim
    assert not any(e.name == "order" for e in certify(Audit(**DRAWN).measurements()).exhibits)
    by_plan = next(e for e in certify(audit().measurements()).exhibits if e.name == "order")
    assert [row[3:5] for row in by_plan.rows] == [(None, None)] * 3


def test_a_census_is_counted_and_not_tested():
    sentence = certify(Audit(forget=20, retain=10).measurements()).sentences[0]
    assert "tested by" not in sentence
