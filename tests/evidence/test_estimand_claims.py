"""Every certificate says what its rates are rates of, and claims no more than its record supports."""

import pytest
from hand_made import INT4, Audit, imported
from scipy.stats import beta

from audit.evidence.certificate import Certificate
from audit.evidence.certify import certify
from audit.report.html import render

GENERATOR = {"name": "questions@3", "digest": "ab" * 32, "batch": 2, "draws": "independent"}


def audit(estimand="list", header=None, **sizes):
    return Audit(lock={"estimand": estimand}, header=header or {}, **sizes)


def upper(failures, n, level):
    """Clopper and Pearson's one-sided bound."""
    return beta.ppf(1 - level, failures + 1, n - failures)


def test_a_list_is_about_its_named_subjects():
    certificate = certify(audit(forget=60, sealed=20, retain=60, retain_sealed=20).measurements())
    assert certificate.estimand == "list"
    assert (
        "means over the 80 named subjects, of whom 60 drawn by lot were opened" in certificate.estimand_claim
    )
    assert "60 of the 80 subjects (drawn without replacement" in certificate.sentences[0]


def test_a_census_is_exact():
    certificate = certify(audit(forget=20, retain=10).measurements())
    assert certificate.estimand == "census"
    assert certificate.estimand_claim.startswith("All 20 named subjects were counted")


def test_a_list_that_earlier_audits_opened_in_part_and_this_one_to_its_end_is_a_census():
    certificate = certify(audit(forget=20, retain=10, before=5).measurements())
    assert certificate.estimand == "census"
    assert certificate.estimand_claim.startswith("All 25 named subjects")
    assert certificate.configurations[0].cur == 0


def test_counting_all_of_losses_that_would_change_on_repetition_is_no_census():
    made = audit("list", {"losses": "random"}, forget=60, retain=120)
    made.leak("ga", INT4, 2)
    certificate = certify(made.measurements())
    assert certificate.estimand == "list"
    assert "even a full count is no census" in certificate.estimand_claim
    assert "at confidence 0.95" in certificate.sentences[0]
    assert certificate.configurations[2].cur == pytest.approx(upper(2, 60, 0.05 / 3))


def test_fresh_probes_are_a_rate_over_persons_or_over_questions():
    header = {"losses": "random", "probe_generator": GENERATOR}
    certificate = certify(audit("probes", header, forget=80, retain=80).measurements())
    assert certificate.estimand == "probes"
    assert (
        "Rates are over persons: the chance that a subject of the list leaks when asked 2 fresh questions"
        in (certificate.estimand_claim)
    )
    assert "frozen generator questions@3" in certificate.estimand_claim
    assert certificate.configurations[0].cur == pytest.approx(upper(0, 80, 0.05 / 3))
    assert "80 draws of subjects of the list with 2 fresh questions each" in certificate.sentences[0]
    assert "over repeated draws of the subjects and questions" in certificate.sentences[0]


def test_one_probe_per_draw_is_a_rate_over_questions():
    made = audit(
        "probes", {"losses": "random", "probe_generator": GENERATOR | {"batch": 1}}, forget=80, retain=80
    )
    measurements = made.measurements()
    is_city = (measurements.probes["probe"] == "city") & measurements.probes["subject"].str.startswith("f")
    object.__setattr__(measurements, "probes", measurements.probes[~is_city].reset_index(drop=True))
    rows = measurements.rows
    keep = ~((rows["probe"] == "city") & rows["subject"].str.startswith("f"))
    object.__setattr__(measurements, "rows", rows[keep].reset_index(drop=True))
    certificate = certify(measurements)
    assert certificate.estimand_claim.startswith("Rates are over questions")
    assert "80 draws of subjects of the list with one fresh question each" in certificate.sentences[0]


def test_requests_speak_of_future_requests():
    certificate = certify(audit("subjects", {"unit": "request"}, forget=80, retain=80).measurements())
    assert certificate.estimand == "subjects"
    assert "future requests like the 80 measured ones" in certificate.estimand_claim
    assert certificate.sentences[0].startswith("For checkpoint 02c0ffee02c0, 80 unlearning requests, under")
    assert "over repeated draws of the requests" in certificate.sentences[0]


def test_imported_logs_are_a_census_of_what_was_logged():
    certificate = certify(imported(Audit(forget=10, retain=10)).measurements())
    assert certificate.estimand == "census"
    assert certificate.estimand_claim.startswith("All 10 named subjects")


def test_the_claim_survives_the_file_and_stands_in_the_report():
    certificate = certify(audit(forget=20, retain=10).measurements())
    assert Certificate.from_json(certificate.to_json()) == certificate
    assert certificate.estimand_claim in render(certificate)


def test_a_confirmation_of_random_losses_is_bounded_for_the_whole_family():
    """60 + 20 draws without a failure; the configuration was chosen on the 60, so the level is .05 / 3."""
    made = audit("list", {"losses": "random"}, forget=60, sealed=20, retain=60, retain_sealed=20)
    made.confirmed = "npo"
    found = certify(made.measurements()).configurations[0].confirmation
    assert not found.exact
    assert found.upper == pytest.approx(upper(0, 80, 0.05 / 3))
