"""A candidate that was given up for futility, in every view: FAIL, a lower bound, and nothing that was not measured."""

import dataclasses

import pytest

from audit.evidence import gate
from audit.evidence.certificate import Verdict
from audit.report import reading, wording
from audit.report.html import render as page
from audit.report.junit import render as junit
from audit.report.text import lines


@pytest.fixture
def stopped(certificate):
    """The audit whose first candidate that fails unattacked was attacked no further: its other cells are p = 1."""
    place, item = next(
        (n, c) for n, c in enumerate(certificate.configurations) if reading.unattacked(c).fails
    )
    left = {
        "state": "stopped",
        "reason": "shown to fail unattacked",
        "units": 0,
        "total": 0.0,
        "fails": False,
    }
    gone = {"estimate": 1.0, "lower": 0.0, "upper": 1.0, "p_value": 1.0, "lower_failing": 0.0}
    clauses = tuple(c if c.attack == "none" else dataclasses.replace(c, **left, **gone) for c in item.clauses)
    last = next(c for c in clauses if c.state == "stopped")
    changed = dataclasses.replace(
        item,
        clauses=clauses,
        verdict=Verdict.FAIL,
        cur=1.0,
        cur_attack=last.attack,
        cur_dose=last.dose,
        cur_lower=reading.unattacked(item).lower,
        reasons=("stopped for futility after 90 subjects",),
    )
    others = certificate.configurations
    return changed, dataclasses.replace(
        certificate, configurations=(*others[:place], changed, *others[place + 1 :])
    )


def test_it_reads_as_at_least_its_lower_bound_and_never_as_a_hundred_percent(stopped):
    item, certificate = stopped
    least = f"at least {wording.percent_down(reading.unattacked(item).lower)}"
    assert wording.cur(item) == f"{least} (stopped early, no upper bound)"
    assert wording.bound(item) == least
    assert least in page(certificate)
    assert "stopped early: shown to fail unattacked" in page(certificate)
    assert least.replace(wording.SPACE, " ") in " ".join(lines(certificate, 200))


def test_its_worst_clause_is_the_worst_that_was_measured(stopped):
    item, _ = stopped
    assert reading.worst(item) == reading.unattacked(item)
    assert wording.worst(item, reading.worst(item)).startswith("unattacked: ")


def test_a_pipeline_sees_a_failure_and_no_error(stopped):
    item, certificate = stopped
    assert gate.decide(certificate, item.checkpoint).verdict is Verdict.FAIL
    text = junit(certificate, item.checkpoint)
    assert "<failure" in text
    assert "<error" not in text
    assert "stopped early: shown to fail unattacked" in text
