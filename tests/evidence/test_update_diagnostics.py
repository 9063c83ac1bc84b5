"""What unlearning did to the weights stands beside the recipe, on the certificate and in the report."""

from hand_made import INT4, Audit

from audit.evidence.certify import certify


def test_numbers_of_the_update_need_no_attack_in_their_name():
    audit = Audit(candidates=("npo",))
    audit.header = {
        "diagnostics": [["npo", "none", "distance", 0.125], ["npo", INT4[0], "codes_changed_share", 0.5]]
    }
    certificate = certify(audit.measurements())
    npo = next(c for c in certificate.configurations if c.configuration == "npo")
    assert dict(npo.diagnostics)["distance"] == 0.125
    (other,) = [name for name, value in npo.diagnostics if value == 0.5]
    assert other.startswith("codes_changed_share under quantize")
    assert all(not c.diagnostics for c in certificate.references)


def test_controls_have_theirs_too():
    """How far two trainings lie apart is what a candidate's distance is read against."""
    audit = Audit(candidates=("npo",))
    audit.header = {"diagnostics": [["retrained", "none", "distance", 0.75]]}
    references = {c.role: c.diagnostics for c in certify(audit.measurements()).references}
    assert references == {"original": (), "retrained": (("distance", 0.75),)}
