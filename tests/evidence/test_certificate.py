"""The one Certificate: it survives JSON, its slider follows the rule, its sentence says what it must."""

import dataclasses
import json

import pytest
from hand_made import INT4, NONE, RELEARN_5, RELEARN_10, Audit, imported
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.core.errors import AuditError
from audit.evidence import bundle
from audit.evidence.certificate import Certificate, Verdict
from audit.evidence.certify import certify

DRAWN = {"forget": 60, "sealed": 20, "retain": 60, "retain_sealed": 20}
FORBIDDEN = (
    "erased",
    "anonymous",
    "anonymis",
    "compliant",
    "certified forgotten",
    "safe to",
    "guarantee that",
)


def drawn(**leaks):
    audit = Audit(
        **DRAWN, candidates=("npo", "simnpo", "ga", "rmu"), cells=(NONE, INT4, RELEARN_5, RELEARN_10)
    )
    for name, count in leaks.items():
        audit.leak(name, RELEARN_10, count)
    return audit


@pytest.fixture(scope="module")
def certificates():
    """Certificates of several shapes, none alike."""
    audits = {
        "drawn": drawn(npo=1, simnpo=4, ga=30),
        "census": Audit(forget=10, retain=10),
        "import": imported(Audit(cells=(NONE,), forget=10, retain=10)),
        "integrity": Audit(forget=10, retain=10),
        "broken": drawn(npo=1),
        "confirmed": dataclasses.replace(drawn(npo=1), confirmed="npo"),
        "vetoed": Audit(forget=10, retain=10, hidden={"f001"}),
        "nobody": Audit(forget=10, retain=10, candidates=()),
    }
    audits["integrity"].leak("retrained", NONE, 5)
    audits["broken"].fail("npo", INT4)
    audits["broken"].fail("simnpo", INT4, "not_applicable", "no adapter")
    audits["vetoed"].leak("npo", NONE, 1, first=1)
    return {name: certify(audit.measurements()) for name, audit in audits.items()}


SHAPES = ("drawn", "census", "import", "integrity", "broken", "confirmed", "vetoed", "nobody")


# -- JSON ---------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_a_certificate_survives_json(certificates, shape):
    certificate = certificates[shape]
    text = json.dumps(certificate.to_json(), allow_nan=False)
    assert Certificate.from_json(json.loads(text)) == certificate


def test_what_was_written_is_read_back_and_writing_again_gives_the_same_bytes(certificates, tmp_path):
    path = bundle.write(tmp_path, certificates["confirmed"])
    before = path.read_bytes()
    assert bundle.read(tmp_path) == certificates["confirmed"]
    bundle.write(tmp_path, bundle.read(tmp_path))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["evidence.json"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "E109"),
        ("", "E510"),
        ("{", "E510"),
        ("[]", "E510"),
        ("3", "E510"),
        ("{}", "E510"),
        ('{"schema_version": 1}', "E510"),
    ],
)
def test_evidence_that_is_missing_or_damaged_is_said_with_a_code(tmp_path, text, code):
    if text is not None:
        (tmp_path / "evidence.json").write_text(text)
    with pytest.raises(AuditError) as caught:
        bundle.read(tmp_path)
    assert caught.value.code == code


def test_a_certificate_of_another_schema_is_not_guessed_at(certificates):
    with pytest.raises(AuditError) as caught:
        Certificate.from_json(certificates["census"].to_json() | {"schema_version": 2})
    assert caught.value.code == "E510"


def test_a_field_that_is_missing_or_unknown_is_damage(certificates, tmp_path):
    for change in ({"extra": 1}, {"verdict": "MAYBE"}, {"units": 7}):
        (tmp_path / "evidence.json").write_text(json.dumps(certificates["census"].to_json() | change))
        with pytest.raises(AuditError) as caught:
            bundle.read(tmp_path)
        assert caught.value.code == "E510"


def test_every_verdict_has_its_exit_code():
    codes = {str(v): v.exit_code for v in Verdict}
    assert codes == {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "RUN-ERROR": 4, "INTEGRITY": 5}


# -- the slider ---------------------------------


@settings(deadline=None)
@given(alpha=st.floats(0, 1))
def test_the_slider_lists_exactly_what_keeps_it_with_enough_utility(certificates, alpha):
    for certificate in certificates.values():
        level = certificate.delta / max(certificate.family_size, 1)
        expected = {
            c.configuration
            for c in certificate.configurations
            if c.cur <= alpha and c.p_utility <= level and not c.vetoes
        }
        if certificate.verdict in (Verdict.INTEGRITY, Verdict.RUN_ERROR):
            expected = set()
        assert {c.configuration for c in certificate.valid_at(alpha)} == expected


@settings(deadline=None)
@given(one=st.floats(0, 1), other=st.floats(0, 1))
def test_a_larger_budget_never_lists_less(certificates, one, other):
    low, high = sorted((one, other))
    for certificate in certificates.values():
        assert set(c.configuration for c in certificate.valid_at(low)) <= set(
            c.configuration for c in certificate.valid_at(high)
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_at_the_locked_budget_the_slider_lists_nothing_that_is_not_certified(certificates, shape):
    """Holm may certify more at the locked budgets, never less."""
    certificate = certificates[shape]
    listed = {c.configuration for c in certificate.valid_at(certificate.alpha_forget)}
    assert listed <= {c.configuration for c in certificate.valid_set}


# -- the sentence ---------------------------------


def test_the_sentence_says_everything_it_must(certificates):
    certificate = certificates["drawn"]
    (said,) = [s for s in certificate.sentences if certificate.configurations[0].checkpoint[:12] in s]
    for part in (
        "For checkpoint 02c0ffee02c0,",
        "60 of the 80 subjects",
        "drawn without replacement from a finite list, by lot after training",
        "none, quantize(int4), relearn @5 steps, relearn @10 steps as realised",
        "subjects with a recovered secret is at most",
        "0.063 (simultaneous over 4 configurations)",  # 5 of 80, rounded up
        "at confidence 0.95 over repeated draws of the subjects",
        "with checkpoints, twins and attacks held fixed",
        "right answers lost per retained subject at most 0.1",
        "4 configurations were frozen before any score was seen",
        "one that exceeds a budget in at most 0.05 of such draws",
        "a model that never knew would show at most 5e-10 by guessing",  # 4 cells * 2^-33
        "0 subjects are not auditable",
    ):
        assert part in said, part


def test_there_is_one_sentence_for_every_member_of_the_valid_set(certificates):
    for certificate in certificates.values():
        assert len(certificate.sentences) == len(certificate.valid_set)


def test_a_census_is_called_one_and_carries_no_confidence(certificates):
    for shape in ("census", "import"):
        said = certificates[shape].sentences[0]
        assert "(all counted)" in said
        assert "at most 0.000 (census)" in said
        assert "confidence" not in said
        assert "draws" not in said


def test_nobody_knows_how_imported_configurations_were_chosen(certificates):
    assert "frozen" not in certificates["import"].sentences[0]
    assert "3 configurations were given as logs" in certificates["import"].sentences[0]


def test_a_confirmed_count_stands_beside_the_bound(certificates):
    assert (
        "and 0.013 (counted exactly, the sealed subjects opened)" in certificates["confirmed"].sentences[0]
    )  # 1 of 80
    assert "confirmed" not in certificates["drawn"].sentences[0]


def test_no_certificate_promises_what_it_cannot(certificates):
    for certificate in certificates.values():
        text = json.dumps(certificate.to_json()).lower()
        assert not [word for word in FORBIDDEN if word in text]
        assert any("not listed" in line for line in certificate.not_said)
        assert any("single individual" in line for line in certificate.not_said)
