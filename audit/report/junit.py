"""JUnit XML for a pipeline: one test case per clause of the gate.

``failure`` = FAIL, ``error`` = RUN-ERROR or INTEGRITY, ``skipped`` = INCONCLUSIVE with its reason. The last
case of the suite carries the gate's own decision, and no other case may look worse than it: file and exit
code cannot differ.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from audit.evidence import gate
from audit.evidence.certificate import Certificate, ClauseResult, ConfigurationResult, Verdict
from audit.report import reading, wording

_ELEMENTS = {
    Verdict.FAIL: "failure",
    Verdict.INCONCLUSIVE: "skipped",
    Verdict.RUN_ERROR: "error",
    Verdict.INTEGRITY: "error",
}
_CONTROLS = {"as expected": Verdict.PASS, "violated": Verdict.INTEGRITY, "not measured": Verdict.INCONCLUSIVE}


@dataclass(frozen=True)
class Case:
    """One test case: its name, outcome, and the sentence that goes with it."""

    name: str
    outcome: Verdict
    message: str


def render(certificate: Certificate, checkpoint: str | None = None) -> str:
    """Return JUnit XML for one checkpoint, or for the whole sweep when none is named and there are several.

    Raises
    ------
    AuditError: E511 when the certificate does not speak of ``checkpoint``.

    """
    named = checkpoint or None  # imported logs have no digest
    if named is None and len(certificate.configurations) != 1:
        return _suite(certificate, "sweep", certificate.verdict, _sweep(certificate), ())
    decision = gate.decide(certificate, named)
    item = gate.pick(certificate, named) if named else certificate.configurations[0]
    cases = [
        *_controls(certificate),
        *(_clause(certificate, item, clause) for clause in item.clauses if clause.state != "not_applicable"),
        *(Case("veto", decision.verdict, sentence) for sentence in item.vetoes),
        Case("verdict", decision.verdict, "; ".join(decision.reasons)),
    ]
    left_out = [clause for clause in item.clauses if clause.state == "not_applicable"]
    return _suite(
        certificate, f"{item.label} {wording.digest(item.checkpoint)}", decision.verdict, cases, left_out
    )


def _sweep(certificate: Certificate) -> list[Case]:
    candidates = [
        Case(c.label, c.verdict, "; ".join(wording.why(certificate, c))) for c in certificate.configurations
    ]
    return [
        *_controls(certificate),
        *candidates,
        Case("verdict", certificate.verdict, reading.headline(certificate)),
    ]


def _controls(certificate: Certificate) -> list[Case]:
    return [
        Case(
            f"control {c.name}: {c.expectation}",
            _CONTROLS.get(c.outcome, Verdict.INCONCLUSIVE),
            c.detail or c.outcome,
        )
        for c in certificate.controls
    ]


def _clause(certificate: Certificate, item: ConfigurationResult, clause: ClauseResult) -> Case:
    name = f"{clause.side}: {clause.loss}, {wording.attack(clause.attack, clause.dose)}"
    against = f"budget {wording.budget(clause.budget)}; p {wording.p_value(clause.p_value)}"
    return Case(name, _clause_outcome(certificate, item, clause), f"{wording.measured(clause)}; {against}")


def _clause_outcome(certificate: Certificate, item: ConfigurationResult, clause: ClauseResult) -> Verdict:
    if certificate.verdict is Verdict.INTEGRITY:
        return Verdict.INCONCLUSIVE
    if clause.state == "stopped" and item.verdict is Verdict.FAIL and not clause.fails:
        return Verdict.INCONCLUSIVE  # given up because another clause is broken
    if clause.state in ("failed", "stopped") and not clause.fails:
        return Verdict.RUN_ERROR
    if item.in_valid_set or clause.p_value <= certificate.delta / max(certificate.family_size, 1):
        return Verdict.PASS
    return Verdict.FAIL if clause.fails else Verdict.INCONCLUSIVE


def _shown(outcome: Verdict, overall: Verdict) -> str | None:
    """Return the element for ``outcome``, ``skipped`` where it would contradict the overall verdict."""
    element = _ELEMENTS.get(outcome)
    contradicts = {
        Verdict.PASS: ("failure", "error"),  # a sweep passes with refused candidates in it
        Verdict.INCONCLUSIVE: ("failure", "error"),
        Verdict.FAIL: ("error",),
    }.get(overall, ())
    return "skipped" if element in contradicts else element


def _suite(
    certificate: Certificate, name: str, overall: Verdict, cases: list[Case], left_out: Sequence[ClauseResult]
) -> str:
    shown = [_shown(case.outcome, overall) for case in cases]
    totals = {
        "tests": str(len(cases)),
        "failures": str(shown.count("failure")),
        "errors": str(shown.count("error")),
        "skipped": str(shown.count("skipped")),
    }
    root = ET.Element("testsuites", {"name": "unlearn-audit", **totals})
    suite = ET.SubElement(root, "testsuite", {"name": name, **totals})
    properties = ET.SubElement(suite, "properties")
    for key, value in _facts(certificate, left_out):
        ET.SubElement(properties, "property", name=key, value=value)
    for case, element in zip(cases, shown, strict=True):
        _write(ET.SubElement(suite, "testcase", classname=name, name=case.name, time="0"), case, element)
    ET.indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        + ET.tostring(root, encoding="unicode").replace(wording.SPACE, " ")
        + "\n"
    )


def _facts(certificate: Certificate, left_out: Sequence[ClauseResult]) -> list[tuple[str, str]]:
    skipped = [(f"{c.loss}, {wording.attack(c.attack, c.dose)}", wording.state(c)) for c in left_out]
    return [("audit", certificate.audit_id), ("lock", certificate.lock_digest), *skipped]


def _write(case_element: ET.Element, case: Case, element: str | None) -> None:
    if element is None:
        ET.SubElement(case_element, "system-out").text = case.message
    elif element == "skipped":
        ET.SubElement(case_element, element, message=f"{case.outcome}: {case.message}")
    else:
        ET.SubElement(case_element, element, message=case.message, type=str(case.outcome))
