"""A candidate without a verdict says on the terminal why, and what to do."""

from hand_made import INT4, NONE, Audit

from audit.evidence.certify import certify
from audit.report.failed import SHOWN, lines
from audit.runs.status import Failure

DIVERGED = "training ended with 7 weights that are not finite"


def certificate(*broken, reason=f"E310 {DIVERGED}", candidates=("npo", "simnpo", "ga")):
    audit = Audit(candidates=candidates, forget=20, retain=10)
    for name in broken:
        for cell in (NONE, INT4):
            audit.fail(name, cell, reason=reason)
    return certify(audit.measurements())


def test_each_failed_candidate_has_its_code_cause_and_remedy():
    recorded = [
        Failure("unlearn ga", "E310", DIVERGED, "lower the rate"),
        Failure("x", "E302", "died", "more"),
    ]
    assert lines(certificate("ga"), recorded, "runs/a") == [
        f"ga: E310 {DIVERGED} → lower the rate",
        "all failures: unlearn-audit status runs/a",
    ]


def test_a_reason_whose_record_is_gone_stands_without_a_remedy():
    assert lines(certificate("ga", reason="E301 the job did not finish"), [], "r")[0] == (
        "ga: E301 the job did not finish"
    )


def test_without_failures_nothing_is_said():
    assert lines(certificate(), [Failure("a", "E310", DIVERGED, "b")], "r") == []


def test_of_many_the_first_few_are_shown_and_the_others_counted():
    names = tuple(f"ga{number}" for number in range(SHOWN + 3))
    found = lines(certificate(*names, candidates=names), [], "r")
    assert [line.partition(":")[0] for line in found] == [*names[:SHOWN], "… and 3 more", "all failures"]
