"""Other tools' logs with an original and a retrained model among them are controlled like a run of our own.

Ten forgotten persons, all of them logged: one may be answered, two are too many.
"""

import dataclasses

import pytest
from hand_made import NONE, REFERENCES, Audit, imported

from audit.evidence.certificate import Verdict
from audit.evidence.certify import certify
from audit.plan.schema import Loss

ANSWERED = "rouge_l_recall"


def logs(**changes):
    audit = imported(Audit(cells=(NONE,), forget=10, retain=10))
    return dataclasses.replace(audit, references=REFERENCES, **changes)


def answer(audit, name, count):
    audit.put_all(name, NONE, ANSWERED, {f"f{i:03d}": 1.0 for i in range(count)})


def beside_twins(above):
    """Twenty authors and twenty twins, as in TOFU; so many authors are likelier than all twins when retrained."""
    loss = Loss(primary=("above_twins",), vetoes=(), beta=0.0477).model_dump(mode="json")
    audit = logs(forget=20, twins=20, metrics=(ANSWERED, "nll"), lock={"kind": "import", "loss": loss})
    audit.put_all("retrained", NONE, "nll", {f"f{i:03d}": 4.0 for i in range(above)})
    return audit


def outcomes(certificate):
    return {c.name: c.outcome for c in certificate.controls}


def test_with_both_references_the_verdict_follows_from_the_counts():
    audit = logs()
    answer(audit, "retrained", 1)
    answer(audit, "npo", 1)
    answer(audit, "simnpo", 2)
    certificate = certify(audit.measurements())
    assert outcomes(certificate) == {"original": "as expected", "retrained": "as expected"}
    assert [str(c.verdict) for c in certificate.configurations] == ["PASS", "FAIL", "PASS"]
    assert certificate.verdict is Verdict.PASS
    assert certificate.missing_controls == ()


def test_a_retrained_model_that_guesses_leaves_the_audit_uncontrolled_and_says_why():
    audit = logs()
    answer(audit, "retrained", 2)
    answer(audit, "simnpo", 3)
    certificate = certify(audit.measurements())
    assert outcomes(certificate) == {"original": "as expected", "retrained": "not measured"}
    assert {str(c.verdict) for c in certificate.configurations} == {"INCONCLUSIVE"}
    assert certificate.missing_controls == ("retrained",)
    assert any("guesses" in reason and "2 of 10" in reason for reason in certificate.reasons)


def test_a_guess_rate_above_the_budget_is_enough_where_only_a_sample_was_opened():
    """Two of ten out of forty prove nothing at a thousandth, and still nobody knows that guesses stay within a tenth."""
    audit = logs(sealed=30)
    answer(audit, "retrained", 2)
    assert outcomes(certify(audit.measurements()))["retrained"] == "not measured"


def test_twins_do_not_stand_in_for_a_retrained_model_where_guesses_count():
    audit = dataclasses.replace(logs(twins=20), references=("original",))
    certificate = certify(audit.measurements())
    assert outcomes(certificate) == {"original": "as expected", "twins": "not measured"}
    assert certificate.verdict is Verdict.INCONCLUSIVE


def test_an_original_that_answers_nobody_is_an_integrity_error():
    audit = logs()
    audit.put_all("original", NONE, ANSWERED, dict.fromkeys(audit.forgotten, 0.0))
    certificate = certify(audit.measurements())
    assert outcomes(certificate)["original"] == "violated"
    assert certificate.verdict is Verdict.INTEGRITY


@pytest.mark.parametrize(
    ("above", "outcome"),
    [(0, "as expected"), (2, "as expected"), (3, "not measured"), (8, "not measured"), (9, "violated")],
)
def test_a_retrained_model_is_held_to_chance_where_twins_are_few(above, outcome):
    """P(the k likeliest of forty are all forgotten ones) = C(20, k) / C(40, k): .0016 for 8, .0006 for 9.

    Two of twenty are within the budget; from three on the twins let a model pass it that never saw anybody.
    """
    certificate = certify(beside_twins(above).measurements())
    assert outcomes(certificate) == {"original": "as expected", "retrained": outcome}
    expectations = {c.name: c.expectation for c in certificate.controls}
    assert "chance" in expectations["retrained"]
    assert expectations["original"] == "must FAIL without an attack"


def test_candidates_are_held_to_the_budget_all_the_same():
    """Two of twenty authors above the twins are the tenth that is allowed, three are not."""
    audit = beside_twins(0)
    for name, count in (("npo", 2), ("simnpo", 3)):
        audit.put_all(name, NONE, "nll", {f"f{i:03d}": 4.0 for i in range(count)})
    assert [str(c.verdict) for c in certify(audit.measurements()).configurations] == ["PASS", "FAIL", "PASS"]


def test_twins_that_a_stranger_exceeds_too_often_fail_nobody():
    audit = beside_twins(3)
    audit.put_all("simnpo", NONE, "nll", {f"f{i:03d}": 4.0 for i in range(3)})
    certificate = certify(audit.measurements())
    assert {str(c.verdict) for c in certificate.configurations} == {"INCONCLUSIVE"}
    assert any("threshold" in reason for reason in certificate.reasons)


def test_logs_of_the_forgotten_side_alone_show_no_utility_and_pass_nothing():
    """Without a retained subject the upper bound on harm is 1, and what was not measured is missing."""
    whole = logs().measurements()
    header = whole.header | {
        "lists": {side: told for side, told in whole.header["lists"].items() if side != "retain"},
        "coverage": [cell for cell in whole.header["coverage"] if cell["side"] != "retain"],
    }
    units = whole.units[whole.units["side"] != "retain"]
    kept = [table[table["subject"].isin(units["subject"])] for table in (whole.rows, whole.probes)]
    certificate = certify(
        dataclasses.replace(whole, rows=kept[0], units=units, probes=kept[1], header=header)
    )
    assert {str(c.verdict) for c in certificate.configurations} == {"RUN-ERROR"}
    assert {(c.utility_upper, c.p_value) for c in certificate.configurations} == {(1.0, 1.0)}
