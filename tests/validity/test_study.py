"""The study as a whole: the same counts however it is run, and a verdict that follows from them."""

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from audit.core.errors import AuditError
from audit.risk.validation import study as engine
from audit.risk.validation.coverage import Setting
from audit.risk.validation.families import Family
from audit.risk.validation.parts.bounds import BoundCell
from audit.risk.validation.parts.procedures import FamilyCell
from audit.risk.validation.result import Row, Study
from audit.risk.validation.study import InvalidCell, counts, validate

CELLS = [
    BoundCell(Setting("list", "beta, wide", n=20, population=40)),
    FamilyCell(Family(size=3, nulls=3, attacks=1, n=40)),
    InvalidCell("census_claimed_for_a_sample"),
]


class Recorder:
    def __init__(self):
        self.lines = []

    def start(self, stage, total):
        self.lines.append((stage, total))

    def advance(self, stage, steps=1, message=""):
        self.lines.append((stage, message))

    def finish(self, stage):
        self.lines.append((stage, "done"))


def test_the_counts_do_not_depend_on_the_number_of_processes():
    """1,100 replications are three chunks a cell, so the processes share cells."""
    one = counts(CELLS, [1100] * 3)
    two = counts(CELLS, [1100] * 3, processes=2)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[2], counts(CELLS, [1100] * 3, seed=1)[2])


def test_a_cell_does_not_depend_on_the_others():
    assert np.array_equal(counts(CELLS, [600] * 3)[2], counts(CELLS[2:], [600])[0])


def test_progress_names_each_cell_once():
    seen = Recorder()
    counts(CELLS, [10] * 3, progress=seen)
    assert seen.lines == [("validate", 3), *(("validate", c.label) for c in CELLS), ("validate", "done")]


def test_an_unknown_size_is_refused():
    with pytest.raises(AuditError, match="E462"):
        validate("huge")


def test_the_full_study_runs_ten_thousand_replications_of_every_cell():
    assert engine.SIZES["full"] == (10_000, 10_000)


def row(part, violations, promised=0.05, replications=10_000):
    return Row.of(part, "somewhere", "something", promised, violations, replications)


def study(valid, caught):
    return Study(
        "quick", 0, 1, 1.0, tuple(row("p", v) for v in valid), tuple(row("invalid", v) for v in caught)
    )


def test_promises_kept_and_procedures_caught_are_no_trouble():
    found = study([500, 520, 400], [1500])
    assert found.passed
    assert found.trouble() is None


def test_a_broken_promise_is_E460_with_its_numbers():
    found = study([500, 700, 400], [1500])
    assert found.flagged == (False, True, False)
    assert str(found.trouble()).startswith(
        "E460 1 of 3 rows break their promise; worst: something in somewhere, 700 of 10000"
    )


def test_an_invalid_procedure_that_gets_away_is_E461():
    found = study([500, 500, 400], [1500, 560])
    assert found.caught == (True, False)
    assert not found.passed
    assert "1 of 2 invalid procedures were not caught: something" in str(found.trouble())


def test_json_holds_every_row_with_its_verdict():
    found = json.loads(json.dumps(study([500, 700], [1500]).to_json()))
    assert [r["flagged"] for r in found["rows"]] == [False, True]
    assert found["rows"][1]["rate"] == 0.07
    assert found["invalid"][0]["caught"] is True
    assert found["passed"] is False


@dataclass(frozen=True)
class Faulty:
    """A cell whose procedure is wrong in one of ten draws."""

    slow: ClassVar[bool] = False
    label: str = "faulty"
    promised: float = 0.05
    procedures: tuple[str, ...] = ("tossing coins",)

    def violations(self, random, replications):
        return np.array([(random.random(replications) < 0.1).sum()])


def test_a_faulty_engine_is_caught_in_a_quick_study():
    (count,) = counts([Faulty()], [2000])[0]
    assert Row.of("p", "faulty", "tossing coins", 0.05, int(count), 2000).surprise < 0.01 / 1000
