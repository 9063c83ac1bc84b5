"""A table that contradicts itself is refused before anything is computed from it."""

import numpy as np
import pytest

from audit.risk.table import Clause, LossTable


def clause(**changes):
    values = {"name": "none", "side": "forget", "losses": np.zeros((2, 5)), "population": 8, **changes}
    return Clause(**values)


def test_defaults_say_that_everything_was_measured_and_applies():
    made = clause()
    assert made.counts().tolist() == [True, True]
    assert made.design == "list"
    assert not made.census


@pytest.mark.parametrize(
    ("changes", "design", "census"),
    [
        ({"population": None}, "draws", False),
        ({"population": 5}, "list", True),
        ({"population": 5, "fixed": False}, "random list", False),
        ({"population": 8, "seen_units": 3, "seen_totals": np.zeros(2)}, "list", True),
        ({"population": 9, "seen_units": 3, "seen_totals": np.zeros(2)}, "list", False),
        ({"population": None, "fixed": False}, "draws", False),
    ],
)
def test_the_design_follows_from_what_was_declared(changes, design, census):
    made = clause(**changes)
    assert (made.design, made.census) == (design, census)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side": "retain"}, "forget or utility"),
        ({"losses": np.zeros(5)}, r"\(configurations, units\)"),
        ({"losses": np.full((2, 5), 1.5)}, r"in \[0, 1\], got \[1.5, 1.5\]"),
        ({"losses": np.full((2, 5), -0.5)}, r"in \[0, 1\]"),
        ({"losses": np.full((2, 5), np.inf)}, r"in \[0, 1\]"),
        ({"losses": np.full((2, 5), 0.5), "binary": True}, "10 losses are graded"),
        ({"population": 4}, r"5 \+ 0 units exceed the list of 4"),
        ({"seen_units": 4, "seen_totals": np.zeros(2)}, r"5 \+ 4 units exceed the list of 8"),
        ({"seen_units": 2}, "need their totals"),
        ({"seen_totals": np.zeros(2)}, "need their totals"),
        ({"population": None, "seen_units": 2, "seen_totals": np.zeros(2)}, "belong to a finite list"),
        ({"seen_units": 2, "seen_totals": np.zeros(2), "fixed": False}, "cannot be counted exactly"),
        ({"seen_units": 2, "seen_totals": np.full(2, 3.0)}, r"in \[0, 2\]"),
        ({"seen_units": 2, "seen_totals": np.full(2, np.nan)}, r"in \[0, 2\]"),
        ({"seen_units": 2, "seen_totals": np.zeros(3)}, r"in \[0, 2\]"),
        ({"seen_units": 2, "seen_totals": np.full(2, 0.5), "binary": True}, "whole numbers"),
        (
            {"seen_units": 2, "seen_totals": np.ones(2), "seen_missing": np.full(2, 2)},
            "cannot exceed seen_totals",
        ),
        ({"measured": np.ones(3, dtype=bool)}, "measured must be"),
        ({"applicable": np.ones(2)}, "applicable must be"),
    ],
)
def test_a_clause_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        clause(**changes)


def test_rows_that_say_nothing_may_hold_anything():
    losses = np.zeros((2, 5))
    losses[1] = 7.0
    assert clause(losses=losses, measured=np.array([True, False])).counts().tolist() == [True, False]
    assert clause(losses=losses, applicable=np.array([True, False])).counts().tolist() == [True, False]


def test_a_missing_score_is_no_value_outside_0_and_1_and_hides_none():
    losses = np.zeros((2, 5))
    losses[:, 0] = np.nan
    assert np.isnan(clause(losses=losses, binary=True).losses).sum() == 2
    losses[1, 1] = 1.5
    with pytest.raises(ValueError, match=r"in \[0, 1\], got \[0, 1.5\]"):
        clause(losses=losses)
    losses[1, 1] = 0.5
    with pytest.raises(ValueError, match="declared 0/1, but 1 losses are graded"):
        clause(losses=losses, binary=True)


@pytest.mark.parametrize(
    ("names", "clauses", "size", "message"),
    [
        (("a", "a"), (), 2, "must be unique"),
        (("a", "b"), (clause(), clause()), 2, "clause names must be unique"),
        (("a",), (clause(),), 1, "2 rows for 1"),
        (("a", "b"), (clause(),), 1, "1 < 2"),
        ((), (), 0, "0 < 0"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(names, clauses, size, message):
    with pytest.raises(ValueError, match=message):
        LossTable(names, clauses, size)
