"""The order learned on tune units, counted by hand; what is not known comes last."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.risk.orders import pareto_fronts, pareto_order, risk_pairs
from audit.risk.table import Clause, LossTable

UNITS = 10


def table(forget, utility, more=(), **flags):
    """Losses with the given numbers of failures of ten units; ``more`` are further attacks."""
    names = tuple(f"c{i}" for i in range(len(forget)))
    attacks = [forget, *more]
    clauses = [Clause(f"a{i}", "forget", counted(a), None, binary=True) for i, a in enumerate(attacks)]
    clauses.append(Clause("utility", "utility", counted(utility), None, **flags))
    return LossTable(names, tuple(clauses), len(names))


def counted(failures):
    return np.array([np.arange(UNITS) < k for k in failures], dtype=float)


def test_the_larger_of_both_scaled_risks_decides_and_then_their_sum():
    """Scaled by .2 and .4: (1.5, .25), (.5, .75), (.5, .5), (1, .75): the sum decides nothing but ties."""
    found = pareto_order(table([3, 1, 1, 2], [1, 3, 2, 3]), 0.2, 0.4)
    assert found == (2, 1, 3, 0)
    assert pareto_order(table([2, 2, 2], [3, 1, 2]), 0.1, 0.2) == (1, 2, 0)  # 2 each; sums 3.5, 2.5, 3


def test_what_is_tied_keeps_the_plans_order():
    assert pareto_order(table([1, 1, 1, 0], [1, 1, 1, 0]), 0.1, 0.1) == (3, 0, 1, 2)


def test_the_worst_attack_counts():
    assert pareto_order(table([0, 2], [0, 0], more=[[3, 1]]), 0.1, 0.1) == (1, 0)
    assert risk_pairs(table([0, 2], [0, 5], more=[[3, 1]])).tolist() == [[0.3, 0], [0.2, 0.5]]


def test_a_missing_score_is_a_failure_and_what_was_not_measured_comes_last():
    losses = counted([0, 1, 0, 0])
    losses[0, :3] = np.nan
    clause = Clause("a", "forget", losses, None, measured=np.array([True, True, False, True]))
    utility = Clause("u", "utility", counted([0, 0, 0, 0]), None)
    whole = LossTable(("a", "b", "c", "d"), (clause, utility), 4)
    assert risk_pairs(whole)[:, 0].tolist() == [0.3, 0.1, 1, 0]
    assert pareto_order(whole, 0.1, 0.1) == (3, 1, 0, 2)


def test_an_attack_that_does_not_apply_says_nothing_and_nothing_at_all_is_the_largest_risk():
    clauses = (
        Clause("a", "forget", counted([9, 1]), None, applicable=np.array([False, True])),
        Clause("b", "forget", counted([2, 0]), None),
    )
    pairs = risk_pairs(LossTable(("a", "b"), clauses, 2))
    assert pairs.tolist() == [[0.2, 1], [0.1, 1]]  # no utility clause
    empty = Clause("a", "forget", np.zeros((2, 0)), None)
    assert risk_pairs(LossTable(("a", "b"), (empty,), 2)).tolist() == [[1, 1], [1, 1]]


def test_fronts_are_peeled_off_one_after_the_other():
    """(0, 5), (2, 2), (5, 0) beat everybody else; then (3, 3) and (2, 6); then (6, 6). Equals share a front."""
    risks = np.array([[0, 5], [2, 2], [5, 0], [3, 3], [2, 6], [6, 6], [2, 2]]) / 10
    assert pareto_fronts(risks).tolist() == [0, 0, 0, 1, 1, 2, 0]


def test_front_by_front_a_one_sided_member_comes_before_a_balanced_one_behind_the_front():
    whole = table([0, 1, 2], [9, 1, 2])  # scaled maxima 9, 1, 2; fronts 0, 0, 1
    assert pareto_order(whole, 0.1, 0.1) == (1, 2, 0)
    assert pareto_order(whole, 0.1, 0.1, fronts_first=True) == (1, 0, 2)


@given(
    failures=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=9),
    fronts_first=st.booleans(),
    budgets=st.tuples(st.sampled_from([0.05, 0.1, 0.3]), st.sampled_from([0.1, 0.4])),
)
@settings(max_examples=150, deadline=None)
def test_nobody_stands_before_one_that_beats_it(failures, fronts_first, budgets):
    forget, utility = zip(*failures, strict=True)
    order = pareto_order(table(forget, utility), *budgets, fronts_first=fronts_first)
    assert sorted(order) == list(range(len(failures)))
    for place, late in enumerate(order):
        for early in order[:place]:
            a, b = failures[late], failures[early]
            assert not (a[0] <= b[0] and a[1] <= b[1] and a != b)


@pytest.mark.parametrize("budgets", [(0.0, 0.1), (0.1, 1.0)])
def test_budgets_outside_the_unit_interval_are_refused(budgets):
    with pytest.raises(ValueError, match="budgets must be in"):
        pareto_order(table([1], [1]), *budgets)
