"""An attack that puts in what it asks for is shown and decides nothing."""

from hand_made import NONE, Audit

from audit.attacks.base import ATTACKS
from audit.core.registry import canonical
from audit.evidence.certify import certify

OWN = (canonical(ATTACKS.build("relearn(steps=[5], arm=own)")), 5.0)


def certified(*, injects):
    audit = Audit(
        candidates=("npo",), cells=(NONE, OWN), forget=60, retain=60, metrics=("forced_match", "exact_match")
    )
    for name in ("npo", "original", "retrained"):
        audit.leak(name, OWN, 60 if injects else 0)
    audit.leak("npo", NONE, 1)
    audit.header["attacks"] = [
        {
            "attack": text,
            "tier": "finetune",
            "doses": [dose],
            "dose_unit": "steps",
            "injects": injects and text != "none",
        }
        for text, dose in (NONE, OWN)
    ]
    return certify(audit.measurements())


def test_everybody_comes_back_under_it_and_the_verdict_is_that_of_the_other_attacks():
    certificate = certified(injects=True)
    (npo,) = certificate.configurations
    assert [c.attack for c in npo.clauses if c.side == "forget"] == ["none"]
    assert certificate.verdict == "PASS"  # one of sixty, everybody opened: a census below 10 %
    assert [c.outcome for c in certificate.controls] == [
        "as expected",
        "as expected",
    ]  # retrained is not blamed
    (shown,) = [e for e in certificate.exhibits if e.name == "envelope"]
    assert {row[0]: row[1] for row in shown.rows} == {
        "npo": 60.0,
        "control: original": 60.0,
        "control: retrained": 60.0,
    }
    assert "outside the bound" in next(a.note for a in certificate.attacks if a.attack == OWN[0])


def test_without_such_an_attack_there_is_no_envelope():
    certificate = certified(injects=False)
    assert "envelope" not in {e.name for e in certificate.exhibits}
    assert len([c for c in certificate.configurations[0].clauses if c.side == "forget"]) == 2
