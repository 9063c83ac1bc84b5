"""Every promise of the engine, simulated: a few hundred replications by default, 10,000 among the slow tests."""

import numpy as np
import pytest

from audit.risk.validation.base import INVALID, PARTS, Cell, Invalid, Part
from audit.risk.validation.judging import flags, surprise
from audit.risk.validation.result import Row
from audit.risk.validation.study import InvalidCell, counts, validate

QUICK_PARTS = ("clusters", "cur", "model", "procedures", "undefined")  # bounds: see tests/risk


def rows_of(cells, replications):
    found = counts(cells, [replications] * len(cells))
    return [
        Row.of("", cell.label, procedure, cell.promised, int(count), replications)
        for cell, row in zip(cells, found, strict=True)
        for procedure, count in zip(cell.procedures, row, strict=True)
    ]


def broken(rows):
    flagged = flags(np.array([row.surprise for row in rows]))
    return [
        f"{row.procedure} in {row.cell}: {row.rate} of {row.promised}"
        for row, f in zip(rows, flagged, strict=True)
        if f
    ]


@pytest.mark.parametrize("part", QUICK_PARTS)
def test_no_promise_is_broken_noticeably(part):
    assert not broken(rows_of(list(PARTS[part]().cells()), 200))


@pytest.mark.slow
def test_no_promise_is_broken_in_ten_thousand_replications_and_every_invalid_procedure_is_caught():
    """1 % evidence over the whole study: an engine without fault passes with probability 99 %."""
    study = validate("full", processes=2)
    assert min(row.replications for row in study.rows) == 10_000
    assert study.passed, study.trouble()


@pytest.mark.parametrize("part", PARTS.names())
def test_a_part_is_made_of_cells_with_labels_of_their_own(part):
    cells = list(PARTS[part]().cells())
    assert isinstance(PARTS[part](), Part)
    assert all(isinstance(cell, Cell) for cell in cells)
    assert len({cell.label for cell in cells}) == len(cells)
    assert all(cell.procedures for cell in cells)


@pytest.mark.parametrize("name", INVALID.names())
def test_an_invalid_procedure_is_caught_at_the_strictest_level_of_a_thousand_rows(name):
    (row,) = rows_of([InvalidCell(name)], 1000)
    assert isinstance(INVALID[name](), Invalid)
    assert row.surprise <= 0.01 / 1000
    assert row.rate > row.promised


KNOWN = {
    # P(Bin(89, .1) <= 4) = .0497 is what a test at .05 attains; ten independent ones: 1 - .9503^10.
    "uncorrected_tests": (0.399, 0.02),
    "order_learned_on_calibration_units": (0.399, 0.02),  # the smallest p-value is tested at delta
    "marginal_cur_of_the_selected": (0.399, 0.02),
    "questions_as_units": (0.224, 0.02),  # reference/statistics.md 4a
    "adaptive_family": (0.66, 0.02),  # STATISTICS 1
    "c_rag_root_finder_at_mean_0": (0.282, 0.02),  # .975^50: no failure at all
    "dropped_members_forgotten": (0.222, 0.02),  # 1 - (1 - P(Bin(127, .1) <= 6))^10, P = .0249
    "two_sided_betting_used_one_sided": (1.0, 0.02),
    "nan_inside_holm": (1.0, 0.02),
}


@pytest.mark.parametrize(("name", "rate"), [(name, rate) for name, (rate, _) in KNOWN.items()])
def test_its_rate_is_the_known_one(name, rate):
    (row,) = rows_of([InvalidCell(name)], 3000)
    assert row.rate == pytest.approx(rate, abs=KNOWN[name][1] + 0.01)


@pytest.mark.parametrize(("correlation", "known"), [(0.05, 0.098), (0.5, 0.318)])
def test_the_more_questions_go_together_the_worse_they_serve_as_units(correlation, known):
    """20 persons with 20 questions each; the rates are those of reference/statistics.md, section 4a."""
    wrong = INVALID["questions_as_units"](correlation)
    count = wrong.violations(np.random.default_rng(0), 3000)
    assert count / 3000 == pytest.approx(known, abs=0.03)


def test_a_harness_that_is_told_the_wrong_truth_says_so():
    """The same count of violations at a promise it keeps and at one it breaks."""
    assert surprise(100, 2000, 0.05) > 0.01
    assert surprise(100, 2000, 0.03) < 0.01
