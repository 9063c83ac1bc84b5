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
from audit.runs.futility import exceeding, is_divisible, measure, parts
from audit.runs.job import Job
from audit.runs.split import Unit

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


# -- looks after the first subjects of an attack ---------------------------------------------------------------


def test_opened_subjects_are_scored_in_the_recorded_order_twins_first_and_all_others_last():
    def unit(name, side, order, split="calibrate", auditable=True, group=""):
        return Unit(name, side, split, order, auditable, group)

    forget = [unit(f"f{i:02d}", "forget", 79 - i) for i in range(80)]  # names against the order
    retain = [unit(f"r{i:02d}", "retain", i) for i in range(100)]
    beside = [
        unit("f80", "forget", 10**6, auditable=False),
        unit("f81", "forget", 10**6 + 1, "tune", group="opened before"),
        unit("f82", "forget", 3, "tune"),
    ]
    twins = [unit("t0", "twin", 0, "threshold")]
    units = [*forget, *retain, *beside, *twins]
    opened = {
        side: sorted(u.subject for u in units if u.side == side) for side in ("forget", "retain", "twin")
    }
    cut = parts(opened, units)
    assert [part.looked for part in cut] == [
        {"forget": 10, "retain": 13, "twin": 0},
        {"forget": 20, "retain": 25, "twin": 0},
        {"forget": 40, "retain": 50, "twin": 0},
        {"forget": 80, "retain": 100, "twin": 0},
    ]
    assert cut[0].units["forget"] == [f"f{i}" for i in range(79, 69, -1)]
    assert cut[1].units["retain"] == [f"r{i}" for i in range(13, 25)]
    assert [part.units["twin"] for part in cut] == [["t0"], [], [], []]
    assert cut[3].units["forget"][-3:] == ["f80", "f81", "f82"]
    assert {s for part in cut for names in part.units.values() for s in names} == {u.subject for u in units}


@pytest.mark.parametrize(
    ("subjects", "looks"), [(7, 1), (15, 1), (16, 2), (31, 2), (32, 3), (64, 4), (1000, 4)]
)
def test_no_look_comes_after_fewer_than_eight_subjects(subjects, looks):
    units = [Unit(f"f{i:03d}", "forget", "calibrate", i, True) for i in range(subjects)]
    cut = parts({"forget": [u.subject for u in units], "twin": []}, units)
    assert len(cut) == looks
    assert cut[-1].looked["forget"] == subjects


def test_an_attack_that_trains_or_calibrates_is_measured_in_one_piece():
    whole = (RELEARN_5[0], "quantize(gptq)", "gcg", "soft_prompt")
    parted = ("none", "quantize(int4)", "paraphrase", "sample(n=8)")
    assert [is_divisible(name) for name in (*whole, *parted)] == [False] * 4 + [True] * 4


@dataclass
class InParts(Laboratory):
    """The same in two parts, 30 of 60 first, under cheap attacks: what no job has scored yet has no value."""

    def configured(self):
        return [
            Configured(
                c.configuration,
                c.role,
                c.checkpoint,
                tuple(job for cell in self.audit.cells for job in self.jobs(c, cell)),
            )
            for c in super().configured()
        ]

    def jobs(self, item, cell):
        whole = self.job(item.configuration, cell)
        if item.role != "candidate" or not is_divisible(cell[0]):
            return [whole]
        return [Job(whole.spec | {"part": part}, f"{whole.label} {part}") for part in (1, 2)]

    def collected(self, configured):
        self.audit.states, self.audit.partly = {}, {}
        for item in configured:
            gone = {job.label for job in item.given_up}
            for cell in self.audit.cells:
                jobs = self.jobs(item, cell)
                missing = [job.label for job in jobs if job.label not in self.done]
                if missing:
                    state = "stopped" if set(missing) <= gone else "failed"
                    for side in ("forget", "retain") if cell == NONE else ("forget",):
                        self.audit.fail(item.configuration, cell, state, item.because, side)
                    if state == "stopped" and len(missing) < len(jobs):
                        self.audit.partly[item.configuration, cell] = dict(item.looked)
        return self.audit.measurements()

    def run(self):
        looked = [{"forget": 30, "retain": 30}, {"forget": 60, "retain": 60}]
        return certify(self.collected(measure(self.configured(), self.stage, self.collected, looked)))


def in_parts(**leaks):
    audit = Audit(candidates=tuple(leaks), **DRAWN, lock={"futility": "subjects"})
    for name, cells in leaks.items():
        for cell, (count, first) in cells.items():
            audit.leak(name, cell, count, first=first)
    laboratory = InParts(audit)
    return laboratory, laboratory.run()


def scored(laboratory, name):
    return [label.split()[1:] for _, ls in laboratory.stages for label in ls if label.startswith(name + " ")]


def test_half_of_the_subjects_are_enough_where_all_of_them_leak():
    """30 of 30 of a list of 80 leak: the budget allows 8, so 30 are shown by counting alone, more by the draw."""
    laboratory, certificate = in_parts(good={}, plain={NONE: (60, 0)}, four_bit={INT4: (60, 0)})
    assert scored(laboratory, "plain") == [["none", "1"]]
    assert scored(laboratory, "four_bit") == [["none", "1"], ["none", "2"], ["quantize", "1"]]
    assert len(scored(laboratory, "good")) == 2 * 3 + 1  # relearning in one piece
    assert len(scored(laboratory, "original")) == 4
    plain = next(c for c in certificate.configurations if c.configuration == "plain")
    assert (str(plain.verdict), plain.cur, plain.p_value) == ("FAIL", 1.0, 1.0)
    assert "recovered under none: 30 of 30, so at least 0." in plain.reasons[0]
    assert plain.reasons[-1].startswith(
        "stopped for futility after 30 subjects: 3 more attacks or doses were not"
    )
    broken = next(c for c in plain.clauses if c.fails)
    assert (broken.state, broken.units, broken.total, broken.upper) == ("stopped", 30, 30, 1.0)
    assert "after 30 subjects" in broken.reason
    assert 30 / 80 < broken.lower < 1
    assert str(certificate.verdict) == "PASS"
    assert certificate.family_size == 3


def test_leaks_that_only_later_subjects_show_are_found_by_the_planned_bound():
    laboratory, certificate = in_parts(good={}, late={NONE: (30, 30)})
    assert scored(laboratory, "late") == [["none", "1"], ["none", "2"]]
    late = next(c for c in certificate.configurations if c.configuration == "late")
    assert str(late.verdict) == "FAIL"
    assert next(c for c in late.clauses if c.fails).state == "measured"


def test_losses_of_subjects_who_came_after_the_look_do_not_count():
    """Whatever their number says: the bound of a candidate given up rests on the first 30."""
    few, many = (in_parts(good={}, plain={NONE: (count, 0)})[1] for count in (30, 60))
    bounds = [next(c for c in x.configurations if c.configuration == "plain").cur_lower for x in (few, many)]
    assert bounds[0] == bounds[1] > 0


def test_harm_shown_by_the_first_half_is_enough_too():
    audit = Audit(candidates=("kind", "harmful"), **DRAWN, lock={"futility": "subjects"})
    audit.harm("harmful", 60)
    laboratory = InParts(audit)
    certificate = laboratory.run()
    assert scored(laboratory, "harmful") == [["none", "1"]]
    harmful = next(c for c in certificate.configurations if c.configuration == "harmful")
    assert "utility_harm: 30 of 30" in harmful.reasons[0]


def test_a_lock_says_that_it_allows_looks(tmp_path):
    lock = make_lock(plan(tmp_path, futility="subjects"), tmp_path)
    assert (lock.futility, lock.looks) == (True, True)
    assert lock.content["futility"] == "subjects"
    assert not make_lock(plan(tmp_path), tmp_path).looks
