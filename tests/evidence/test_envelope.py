"""An attack that puts in what it asks for is shown and decides nothing."""

from hand_made import NONE, Audit

from audit.attacks.base import ATTACKS
from audit.core.registry import canonical
from audit.evidence.certify import certify

OWN = (canonical(ATTACKS.build("relearn(steps=[5], arm=own)")), 5.0)


def certified(*, injects, twins=0, yielding=0, attack=OWN, unasked=0):
    audit = Audit(
        candidates=("npo",),
        cells=(NONE, attack),
        forget=60,
        retain=60,
        twins=twins,
        metrics=("forced_match", "exact_match"),
    )
    for twin in audit.never_trained[: 2 * yielding]:
        audit.put("npo", attack, twin, "passport", "forced_match", 1.0)
    for name in ("npo", "original", "retrained"):
        audit.leak(name, attack, 60 if injects else 0)
    audit.leak("npo", NONE, 1)
    audit.unasked += [(attack, person, "passport") for person in audit.forgotten[:unasked]]
    audit.header["attacks"] = [
        {
            "attack": text,
            "tier": "finetune",
            "doses": [dose],
            "dose_unit": "steps",
            "injects": injects and text != "none",
        }
        for text, dose in (NONE, attack)
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


def envelope(certificate):
    (shown,) = [e for e in certificate.exhibits if e.name == "envelope"]
    return shown


def test_twins_stand_beside_the_persons_as_what_a_random_string_yields():
    """Forty twins, every other one counted (the rest judge): of these twenty, seven yield under npo."""
    shown = envelope(certified(injects=True, twins=40, yielding=7))
    label = "relearn(steps=[5], arm=own)"
    assert [c.title for c in shown.columns][1:] == [f"{label}, of 60", f"{label}, of 20 twins"]
    assert {row[0]: row[1:] for row in shown.rows} == {
        "npo": (60.0, 7.0),
        "control: original": (60.0, 0.0),
        "control: retrained": (60.0, 0.0),
    }
    assert "Of 60 opened persons and of 20 never-trained twins" in shown.claim
    assert "random strings of the same form" in " ".join(shown.notes)


def test_without_twins_the_missing_control_is_said():
    shown = envelope(certified(injects=True))
    assert len(shown.columns) == 2
    assert "No twins were measured" in " ".join(shown.notes)


def test_persons_whom_the_attack_cannot_ask_do_not_count_as_withstanding_it():
    """Of sixty persons fifteen have no question of this kind: 45 were asked, and all of these came back."""
    shown = envelope(certified(injects=True, unasked=15))
    assert shown.columns[1].title == "relearn(steps=[5], arm=own), of 45"
    assert {row[1] for row in shown.rows} == {45.0}


def test_an_attack_that_asks_for_names_says_that_its_counts_are_of_names():
    reverse = (canonical(ATTACKS.build("reverse_query")), 1.0)
    assert "whose name came back" in " ".join(envelope(certified(injects=True, attack=reverse)).notes)
    assert "came back" not in " ".join(envelope(certified(injects=True)).notes)
