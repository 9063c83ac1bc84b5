"""Stopping for futility: who is given up, that it changes no verdict, and what it saves."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hand_made import INT4, NONE, PARAPHRASE, RELEARN_5, Audit
from scipy import stats

from audit.core.errors import AuditError
from audit.evidence.certify import certify
from audit.plan.lock import make_lock
from audit.plan.ordering import resolve
from audit.plan.schema import parse_plan
from audit.plan.sizes import ResolvedSizes
from audit.runs.collect import Configured
from audit.runs.futility import exceeding, measure
from audit.runs.job import Job

CELLS = (NONE, INT4, RELEARN_5, PARAPHRASE)
DRAWN = {"forget": 60, "sealed": 20, "retain": 60, "retain_sealed": 20, "cells": CELLS}


@dataclass
class Laboratory:
    """Runs a hand-made audit stage by stage; ``stages`` holds what was measured, in order."""

    audit: Audit
    stages: list = field(default_factory=list)  # (name, labels)
    done: set = field(default_factory=set)  # labels

    def configured(self):
        roles = {
            name: name if name in self.audit.references else "candidate" for name in self.audit.configurations
        }
        return [
            Configured(
                name, role, self.audit.digest(name), tuple(self.job(name, cell) for cell in self.audit.cells)
            )
            for name, role in roles.items()
        ]

    def job(self, name, cell):
        return Job({"attack": cell[0], "sides": ["forget"]}, f"{name} {cell[0].partition('(')[0]}")

    def stage(self, name, jobs):
        self.stages.append((name, [job.label for job in jobs]))
        self.done |= {job.label for job in jobs}

    def collected(self, configured):
        """The measurements with every cell failed that no stage has measured yet, as ``collect`` says."""
        given_up = {job.label: item.because for item in configured for job in item.given_up}
        self.audit.states = {}
        for item in configured:
            for cell in self.audit.cells:
                label = self.job(item.configuration, cell).label
                if label not in self.done:
                    state = "stopped" if label in given_up else "failed"
                    self.audit.fail(item.configuration, cell, state, given_up.get(label, "E301"))
        return self.audit.measurements()

    def run(self):
        return certify(self.collected(measure(self.configured(), self.stage, self.collected)))


def stopping(**leaks):
    """Return the finished laboratory and its certificate; ``leaks``: candidate -> {cell: persons}."""
    audit = Audit(candidates=tuple(leaks), **DRAWN)
    for name, cells in leaks.items():
        for cell, count in cells.items():
            audit.leak(name, cell, count)
    laboratory = Laboratory(audit)
    return laboratory, laboratory.run()


def measured(laboratory, name):
    return [
        label.split()[1]
        for _, labels in laboratory.stages
        for label in labels
        if label.startswith(name + " ")
    ]


def test_attacks_run_from_the_cheapest_and_who_has_failed_meets_no_further_one():
    laboratory, _ = stopping(good={}, plain={NONE: 60}, four_bit={INT4: 60}, taught={RELEARN_5: 60})
    assert laboratory.stages[0][0] == "score unattacked"
    assert measured(laboratory, "good") == ["none", "quantize", "paraphrase", "relearn"]
    assert measured(laboratory, "plain") == ["none"]
    assert measured(laboratory, "four_bit") == ["none", "quantize"]
    assert measured(laboratory, "taught") == ["none", "quantize", "paraphrase", "relearn"]
    for reference in ("original", "retrained"):  # controls are read under every attack
        assert measured(laboratory, reference) == ["none", "quantize", "paraphrase", "relearn"]


def test_a_candidate_that_was_stopped_is_fail_with_its_lower_bound_and_without_an_upper_one():
    """60 of 60 leak. Were it 76 of the list of 80, that had probability 20·19·18·17 / (80·79·78·77) = .003; 77: .014."""
    _, certificate = stopping(good={}, plain={NONE: 60})
    plain = next(c for c in certificate.configurations if c.configuration == "plain")
    assert (str(plain.verdict), plain.cur, plain.p_value) == ("FAIL", 1.0, 1.0)
    assert "stopped for futility after 60 subjects: 3 more attacks or doses" in plain.reasons[-1]
    assert "at least 0.962 of the list" in plain.reasons[0]  # 77 of 80 at the level .05 / 5
    assert str(certificate.verdict) == "PASS"
    assert certificate.family_size == 2


@pytest.mark.parametrize("shift", [-1, 0])
def test_the_stop_comes_at_the_count_at_which_the_certificate_says_fail(shift):
    """Exact hypergeometric: k of 60 drawn from a list of 80 with the 8 that the budget of a tenth allows."""
    level = 0.05 / (len(CELLS) + 1)
    first = next(k for k in range(61) if stats.hypergeom(80, 8, 60).sf(k - 1) <= level)
    laboratory, certificate = stopping(good={}, other={NONE: first + shift})
    other = next(c for c in certificate.configurations if c.configuration == "other")
    assert (
        measured(laboratory, "other")
        == ["none", "quantize", "paraphrase", "relearn"][: 1 if shift == 0 else 4]
    )
    assert (str(other.verdict) == "FAIL") == (shift == 0)


@pytest.mark.parametrize("seed", range(3))
def test_stopping_changes_no_verdict_and_no_valid_set(seed):
    """Leaks around the budget under every attack, six candidates at a time."""
    dice = np.random.default_rng(seed)
    leaks = {f"c{i}": {cell: int(dice.integers(0, 14)) for cell in CELLS} for i in range(6)}
    laboratory, stopped = stopping(**leaks)
    whole = Audit(candidates=tuple(leaks), **DRAWN)
    for name, cells in leaks.items():
        for cell, count in cells.items():
            whole.leak(name, cell, count)
    plain = certify(whole.measurements())
    assert [c.verdict for c in stopped.configurations] == [c.verdict for c in plain.configurations]
    assert [c.configuration for c in stopped.valid_set] == [c.configuration for c in plain.valid_set]
    assert sum(len(labels) for _, labels in laboratory.stages) < len(CELLS) * 8


def test_harm_to_retained_persons_is_a_budget_too():
    audit = Audit(candidates=("kind", "harmful"), **DRAWN)
    audit.harm("harmful", 60)
    assert exceeding(audit.measurements()) == {"harmful"}


def test_a_candidate_that_could_not_be_made_is_not_stopped_but_failed():
    laboratory = Laboratory(Audit(candidates=("made", "broken"), **DRAWN))
    configured = laboratory.configured()
    failure = {"code": "E310", "cause": "7 weights are not finite"}
    configured[-1] = Configured("broken", "candidate", "", configured[-1].measures, failure)
    ended = measure(configured, laboratory.stage, laboratory.collected)
    assert measured(laboratory, "broken") == []
    assert [bool(item.given_up) for item in ended] == [False] * 4


def plan(folder, **changes):
    raw = {"laboratory": {"subject": "lab"}, "candidates": ["npo", "simnpo"], "futility": True}
    return parse_plan(raw | changes, base=folder)


def test_an_order_that_is_learned_on_tune_persons_needs_them_measured(tmp_path):
    sides = {"forget": {"tune": 4, "calibrate": 10, "sealed": 6}, "retain": {"tune": 4}, "twin": {}}
    sizes = ResolvedSizes(**sides)
    with pytest.raises(AuditError) as caught:
        resolve(plan(tmp_path, family="fixed_sequence"), sizes)
    assert caught.value.code == "E469"
    assert resolve(plan(tmp_path, family="fixed_sequence", order="plan"), sizes).order == "plan"
    assert resolve(plan(tmp_path), sizes).order is None


def test_a_plan_without_futility_keeps_its_digest(tmp_path):
    with_it, without = (make_lock(plan(tmp_path, futility=on), tmp_path) for on in (True, False))
    assert (with_it.futility, without.futility) == (True, False)
    assert "futility" not in without.content
    assert with_it.content == without.content | {"futility": True}
