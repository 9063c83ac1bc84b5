"""Betting bounds against plain loops and exact enumeration of small worlds."""

from itertools import permutations, product
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.risk.bounds.base import Sample, build

GRADED = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), min_size=1, max_size=25)


def slow_log_wealth(losses, mean, level, horizon, population=None):
    """ln K_t for t = 1..n by the formulas of the paper, one unit at a time; None once the list is decided."""
    total, squares, wealth, path = 0.0, 0.0, 0.0, []
    for i, loss in enumerate(losses):
        variance = (0.25 + squares) / (i + 1)
        bet = min(1.0, sqrt(2 * log(1 / level) / (horizon * variance)))
        target = mean if population is None else (population * mean - total) / (population - i)
        if target > 1 + 1e-9:
            return [*path, float("inf")]
        if target > 0:
            factor = 1 + bet * (min(target, 1.0) - loss)
            wealth = wealth + log(factor) if factor > 0 else -float("inf")
        path.append(wealth)
        total += loss
        squares += (loss - (0.5 + total) / (i + 2)) ** 2
    return path


@given(losses=GRADED, mean=st.sampled_from([0.05, 0.1, 0.4, 0.8]), level=st.sampled_from([0.003, 0.05]))
@settings(max_examples=80, deadline=None)
def test_the_p_value_is_one_over_the_largest_wealth(losses, mean, level):
    expected = exp(-max(0.0, *slow_log_wealth(losses, mean, level, len(losses)), 0.0))
    assert build("betting", level).p_value(Sample(np.array(losses)), mean) == pytest.approx(
        expected, rel=1e-9
    )


@given(losses=GRADED, spare=st.integers(1, 20), mean=st.sampled_from([0.05, 0.1, 0.4, 0.8]))
@settings(max_examples=80, deadline=None)
def test_without_replacement_the_bets_are_against_what_is_left(losses, spare, mean):
    size = len(losses) + spare
    if not sum(losses) + 1e-6 < size * mean < sum(losses) + spare - 1e-6:
        return  # decided by counting; see the two tests below
    expected = exp(-max(0.0, *slow_log_wealth(losses, mean, 0.05, len(losses), size), 0.0))
    bound = build("betting_without_replacement", 0.05)
    assert bound.p_value(Sample(np.array(losses), size), mean) == pytest.approx(expected, rel=1e-9)


def test_a_list_that_cannot_exceed_the_budget_is_certified():
    """95 of 100 units seen without loss: the mean is at most 5 %."""
    sample = Sample(np.zeros(95), 100)
    bound = build("betting_without_replacement", 0.05)
    assert bound.p_value(sample, 0.06) == 0
    assert bound.upper(sample, 1e-12) == pytest.approx(0.05, abs=1e-8)


def test_a_list_that_already_exceeds_the_budget_is_never_certified():
    """Losses sum to 11.5 of 100 units: the mean is at least 11.5 %, whatever came before or comes after."""
    losses = np.concatenate([np.zeros(60), np.full(23, 0.5)])
    bound = build("betting_without_replacement", 0.05)
    assert bound.p_value(Sample(losses, 100), 0.1) == 1
    assert bound.upper(Sample(losses, 100), 0.05) >= 0.115


def test_losing_everything_ends_the_game():
    """Against mean 0 a bet of 1 loses all on a loss of 1; wealth stays 0 and the p-value 1."""
    assert build("betting", 0.05).p_value(Sample(np.array([1.0, 0.0, 0.0])), 0.0) == 1


@pytest.mark.parametrize("risk", [0.2, 0.3, 0.5])
def test_all_coin_sequences_of_length_ten_reject_with_at_most_delta(risk):
    """Exact: every 0/1 sequence with its probability at the boundary of the null."""
    bound, delta = build("betting", 0.2), 0.2
    miss = sum(
        risk ** sum(flips) * (1 - risk) ** (10 - sum(flips))
        for flips in product([0, 1], repeat=10)
        if bound.p_value(Sample(np.array(flips, dtype=float)), risk) <= delta
    )
    assert 0 < miss <= delta


@pytest.mark.parametrize(
    "listed", [(0, 0, 0, 0, 0, 1, 1), (0, 0, 0.5, 0.5, 0.5, 0.5, 1), (0.1, 0.1, 0.2, 0.2, 0.9, 1, 1)]
)
@pytest.mark.parametrize("n", [3, 5, 6])
def test_all_orders_of_a_small_list_reject_with_at_most_delta(listed, n):
    """Exact: all 5040 orders of seven units; the bound lies below the truth in at most delta of them."""
    bound, delta, truth = build("betting_without_replacement", 0.3), 0.3, float(np.mean(listed))
    orders = {order[:n]: 0 for order in permutations(listed)}
    counts = {head: 0 for head in orders}
    for order in permutations(listed):
        counts[order[:n]] += 1
    misses = sum(
        c for head, c in counts.items() if bound.p_value(Sample(np.array(head), 7), truth - 1e-7) <= delta
    )
    assert misses <= delta * 5040


@pytest.mark.parametrize("name", ["betting", "betting_without_replacement"])
@given(losses=GRADED, delta=st.sampled_from([0.01, 0.05, 0.2]))
@settings(max_examples=40, deadline=None)
def test_the_upper_bound_agrees_with_a_grid_of_tested_means(name, losses, delta):
    bound, sample = build(name, 0.05), Sample(np.array(losses), 60)
    grid = np.linspace(0, 1, 401)
    rejected = [mean for mean in grid if bound.p_value(sample, mean) <= delta]
    upper = bound.upper(sample, delta)
    assert upper <= (min(rejected) if rejected else 1) + 1e-9
    assert upper >= (min(rejected) - 1 / 400 if rejected else 1) - 1e-9


def test_zero_failures_needed_by_betting_at_a_tenth():
    """(1 + 0.1)^n >= 20 with bets capped at 1 gives n = 32, against 29 for the exact binomial."""
    bound = build("betting", 0.05)
    assert bound.p_value(Sample(np.zeros(32)), 0.1) <= 0.05
    assert bound.p_value(Sample(np.zeros(31)), 0.1) > 0.05


def test_bets_never_look_at_the_unit_they_are_placed_on():
    """Changing unit i changes the wealth before i not at all: predictability, unit by unit."""
    losses = np.array([0.0, 0.3, 0.1, 0.7, 0.2, 0.0])
    for i in range(len(losses)):
        changed = losses.copy()
        changed[i] = 1.0
        before = slow_log_wealth(losses, 0.4, 0.05, 6)[:i]
        assert slow_log_wealth(changed, 0.4, 0.05, 6)[:i] == before
        bound = build("betting", 0.05)
        assert bound.p_value(Sample(losses[:i], planned=6), 0.4) == bound.p_value(
            Sample(changed[:i], planned=6), 0.4
        )


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_bet_is_sized_for_an_error_probability(level):
    with pytest.raises(ValueError, match="delta must be in"):
        build("betting", level)


def test_a_list_bound_needs_a_list():
    with pytest.raises(ValueError, match="population=None"):
        build("betting_without_replacement", 0.05).upper(Sample(np.zeros(3)), 0.05)
