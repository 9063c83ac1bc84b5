"""All sealed units opened: the bound becomes a count over the whole list."""

import pytest
from hand_made import INT4, NONE, PARAPHRASE, Audit

from audit.evidence.certify import certify


def confirmed(**changes):
    return Audit(
        forget=30,
        sealed=10,
        retain=15,
        retain_sealed=5,
        cells=(NONE, INT4, PARAPHRASE),
        confirmed="npo",
        **changes,
    )


def sealed_leak(audit, cell, *subjects):
    for subject in subjects:
        audit.put("npo", cell, subject, "passport", "forced_match", 1.0)


def told(audit):
    certificate = certify(audit.measurements())
    assert certificate.confirmed_checkpoint == audit.digest("npo")
    others = [c for c in certificate.configurations if c.configuration != "npo"]
    assert [c.confirmation for c in others] == [None] * len(others)
    return next(c for c in certificate.configurations if c.configuration == "npo")


def test_the_exact_count_is_the_worst_attacks_leaks_over_the_list():
    """Under int4 two opened and one sealed of 40 leak, under other words one opened and no sealed one."""
    audit = confirmed()
    audit.leak("npo", INT4, 2)
    sealed_leak(audit, INT4, "s004")
    audit.leak("npo", PARAPHRASE, 1)
    found = told(audit).confirmation
    assert (found.attack, found.dose) == INT4
    assert (found.failures, found.population, found.sealed_units) == (3, 40, 10)
    assert found.upper == 3 / 40
    assert found.exact


def test_the_worst_attack_over_all_may_differ_from_the_worst_one_over_the_opened():
    audit = confirmed()
    audit.leak("npo", INT4, 2)
    sealed_leak(audit, PARAPHRASE, "s000", "s001", "s002")
    result = told(audit)
    assert (result.cur_attack, result.cur_dose) == INT4
    assert (result.confirmation.attack, result.confirmation.upper) == (PARAPHRASE[0], 3 / 40)


def test_the_count_changes_neither_cur_nor_verdict():
    """They were drawn for; what the sealed ones show stands beside them."""
    audit, open_ones = (
        confirmed(),
        Audit(forget=30, sealed=10, retain=15, retain_sealed=5, cells=(NONE, INT4, PARAPHRASE)),
    )
    sealed_leak(audit, INT4, *(f"s{i:03d}" for i in range(10)))
    before = certify(open_ones.measurements()).configurations[0]
    after = told(audit)
    assert (after.cur, after.p_value, after.verdict) == (before.cur, before.p_value, before.verdict)
    assert after.confirmation.upper == 10 / 40


@pytest.mark.parametrize("subject", ["s003", "f003"])
def test_a_person_without_a_score_is_counted_as_a_failure_and_the_count_is_no_longer_exact(subject):
    audit = confirmed()
    audit.put("npo", INT4, subject, "passport", "forced_match", None)
    found = told(audit).confirmation
    assert (found.failures, found.upper, found.exact) == (1, 1 / 40, False)


def test_utility_is_counted_over_all_retained_subjects_too():
    """Two opened of 15 and one sealed of 5 lose one of two answers: 1.5 / 20."""
    audit = confirmed()
    audit.harm("npo", 2, probe="city")
    audit.put("npo", NONE, "q002", "city", "exact_match", 0.0)
    found = told(audit).confirmation
    assert (found.utility, found.utility_population) == (1.5 / 20, 20)


def test_sealed_persons_outside_the_claim_are_not_counted():
    audit = confirmed(hidden={"s000", "f000"})
    sealed_leak(audit, INT4, "s000")
    found = told(audit).confirmation
    assert (found.failures, found.population, found.sealed_units) == (0, 38, 9)


def test_persons_an_earlier_audit_opened_belong_to_the_count():
    """Two of thirty opened, one of ten sealed, one of five from before: four of 45."""
    audit = confirmed(before=5)
    audit.leak("npo", INT4, 2)
    sealed_leak(audit, INT4, "s004")
    audit.put("npo", INT4, "b001", "passport", "forced_match", 1.0)
    found = told(audit).confirmation
    assert (found.failures, found.population, found.upper) == (4, 45, 4 / 45)
    assert found.exact


def test_without_an_opening_there_is_no_confirmation():
    certificate = certify(Audit(forget=30, sealed=10, retain=15, retain_sealed=5).measurements())
    assert certificate.confirmed_checkpoint is None
    assert {c.confirmation for c in certificate.configurations} == {None}
