import dataclasses
import xml.etree.ElementTree as ET

import pytest

from audit.core.errors import AuditError
from audit.evidence import gate
from audit.evidence.certificate import Verdict
from audit.report.junit import render

PASSING = "08" * 32
ELEMENT = {
    Verdict.PASS: None,
    Verdict.FAIL: "failure",
    Verdict.INCONCLUSIVE: "skipped",
    Verdict.RUN_ERROR: "error",
    Verdict.INTEGRITY: "error",
}


def suite(text: str) -> ET.Element:
    found = ET.fromstring(text).find("testsuite")
    assert found is not None
    return found


def elements(text: str) -> list[str | None]:
    """What each test case holds, None for a passed one."""
    held = [{child.tag for child in case} - {"system-out"} for case in suite(text).iter("testcase")]
    assert all(len(tags) <= 1 for tags in held)
    return [next(iter(tags), None) for tags in held]


def read_as_a_pipeline_does(text: str) -> str | None:
    """An error outranks a failure; skipped cases turn nothing red."""
    found = elements(text)
    return next((kind for kind in ("error", "failure") if kind in found), None)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_last_case_is_the_gates_decision(judged, verdict):
    certificate = judged(verdict)
    text = render(certificate, PASSING)
    assert gate.decide(certificate, PASSING).verdict is verdict
    assert elements(text)[-1] == ELEMENT[verdict]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_suite_is_red_exactly_when_the_gate_says_so(judged, verdict):
    red = {"failure", "error"} & {ELEMENT[verdict]}
    assert read_as_a_pipeline_does(render(judged(verdict), PASSING)) == next(iter(red), None)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_sweep_reads_like_its_verdict(judged, verdict):
    red = {"failure", "error"} & {ELEMENT[verdict]}
    text = render(judged(verdict))
    assert read_as_a_pipeline_does(text) == next(iter(red), None)
    assert elements(text)[-1] == ELEMENT[verdict]


@pytest.mark.parametrize("number", range(1, 17))
def test_every_checkpoint_reads_like_the_gate_decides(certificate, number):
    digest = f"{number:02x}" * 32
    decision = gate.decide(certificate, digest).verdict
    red = {"failure", "error"} & {ELEMENT[decision]}
    assert read_as_a_pipeline_does(render(certificate, digest)) == next(iter(red), None)


def test_each_clause_and_control_has_a_case(certificate):
    item = gate.pick(certificate, PASSING)
    assert len(elements(render(certificate, PASSING))) == len(item.clauses) + len(certificate.controls) + 1


def test_a_clause_that_does_not_apply_is_a_property_and_no_case(certificate):
    item = gate.pick(certificate, PASSING)
    idle = dataclasses.replace(item.clauses[1], state="not_applicable", reason="no adapter")
    changed = dataclasses.replace(item, clauses=(item.clauses[0], idle, *item.clauses[2:]))
    others = tuple(changed if c is item else c for c in certificate.configurations)
    text = render(dataclasses.replace(certificate, configurations=others), PASSING)
    assert len(elements(text)) == len(item.clauses) - 1 + len(certificate.controls) + 1
    assert any("no adapter" in (p.get("value") or "") for p in suite(text).iter("property"))


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_totals_count_the_cases(judged, verdict):
    text = render(judged(verdict), PASSING)
    found = elements(text)
    root = ET.fromstring(text)
    for node in (root, suite(text)):
        assert node.get("tests") == str(len(found))
        assert node.get("failures") == str(found.count("failure"))
        assert node.get("errors") == str(found.count("error"))
        assert node.get("skipped") == str(found.count("skipped"))


def test_a_skipped_case_says_why(certificate):
    text = render(certificate, "0c" * 32)  # not shown to keep a budget
    reasons = [node.get("message") or "" for node in suite(text).iter("skipped")]
    assert reasons
    assert all(reason.startswith("INCONCLUSIVE: ") for reason in reasons)


def test_a_vetoed_checkpoint_names_its_veto(certificate):
    text = render(certificate, "0e" * 32)
    assert [case.get("name") for case in suite(text).iter("testcase")].count("veto") == 1


def test_an_only_candidate_needs_no_name(certificate):
    one = dataclasses.replace(certificate, configurations=certificate.configurations[7:8])
    assert render(one) == render(one, PASSING)


def test_imported_logs_without_digests_render_as_well_and_let_nothing_ship(certificate):
    one = dataclasses.replace(certificate.configurations[7], checkpoint="")
    assert elements(render(dataclasses.replace(certificate, configurations=(one,)), ""))[-1] == "skipped"


def test_an_unknown_checkpoint_is_an_integrity_error(certificate):
    with pytest.raises(AuditError) as caught:
        render(certificate, "ab" * 32)
    assert caught.value.code == "E511"
