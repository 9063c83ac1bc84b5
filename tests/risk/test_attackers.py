"""Worst cases by hand; bounds of combined losses by simulation at lists whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest

from audit.risk.attackers import Part, as_clause, nested_lowers, nested_uppers, worst_case
from audit.risk.clauses import Levels, bound_clause

NAN = float("nan")


def part(*rows, measured=None, applicable=None, reached=None):
    losses = np.array(rows, dtype=float)
    return Part(
        losses,
        np.ones(len(losses), dtype=bool) if measured is None else np.array(measured),
        np.ones(len(losses), dtype=bool) if applicable is None else np.array(applicable),
        np.ones(losses.shape[1], dtype=bool) if reached is None else np.array(reached),
    )


def bounds(found, level, **design):
    facts = {"opened": found.losses.shape[1], "population": None, "fixed": True, "binary": True} | design
    return bound_clause(as_clause("worst", found, **facts), 0.1, Levels(level, level, level))


def test_a_person_counts_as_leaked_if_any_attack_gets_at_them():
    """Each attack leaks one of four, but not the same one: a quarter each, three quarters together."""
    found = worst_case([part([1, 0, 0, 0]), part([0, 1, 0, 0]), part([0, 0, 1, 0])])
    assert found.losses.tolist() == [[1, 1, 1, 0]]


def test_graded_losses_keep_the_largest():
    assert worst_case([part([0.2, 0.7]), part([0.5, 0.1])]).losses.tolist() == [[0.5, 0.7]]


def test_a_missing_score_stays_missing_unless_everything_leaked_anyway():
    found = worst_case([part([NAN, NAN, NAN]), part([1.0, 0.0, 0.4])])
    assert found.losses[0, 0] == 1
    assert np.isnan(found.losses[0, 1:]).all()
    bounded = bounds(found, 0.05, binary=False, population=3)  # a census: 1 to 3 of 3
    assert (bounded.lower[0], bounded.upper[0]) == (pytest.approx(1 / 3), 1.0)


def test_an_attack_without_a_result_leaves_its_configuration_unbounded():
    found = worst_case([part([0, 0], [0, 0]), part([NAN, NAN], [0, 0], measured=[False, True])])
    bounded = bounds(found, 0.05, population=2)
    assert bounded.upper.tolist() == [1.0, 0.0]
    assert bounded.p_value.tolist() == [1.0, 0.0]


def test_an_attack_that_does_not_apply_says_nothing():
    other = part([1, 1], [1, 1], applicable=[False, True], measured=[False, True])
    assert worst_case([part([0, 0], [0, 0]), other]).losses.tolist() == [[0, 0], [1, 1]]
    nowhere = worst_case([part([1], applicable=[False], measured=[False])])
    assert nowhere.applicable.tolist() == [False]
    assert np.isnan(bounds(nowhere, 0.05).upper[0])


def test_a_person_an_attack_cannot_be_tried_on_is_judged_by_the_others():
    found = worst_case([part([0, 0]), part([NAN, 1], reached=[False, True])])
    assert found.losses.tolist() == [[0, 1]]
    assert found.reached.tolist() == [True, True]


def test_units_seen_before_are_counted_exactly():
    """Six units, two of them seen before, of which one leaked under either attack: 0 + 1 of 6 in a census."""
    found = worst_case([part([0, 0, 0, 0, 1, 0]), part([0, 0, 0, 0, 1, 0])])
    bounded = bounds(found, 0.05, opened=4, population=6)
    assert bounded.census
    assert bounded.upper.tolist() == [1 / 6]


def test_no_attack_at_all_is_an_error():
    with pytest.raises(ValueError, match="no attacks"):
        worst_case([])
    with pytest.raises(ValueError, match="bool"):
        Part(np.zeros((2, 3)), np.ones(2), np.ones(2, dtype=bool), np.ones(3, dtype=bool))


# -- nested attackers --------------------------


def test_bounds_of_nested_attackers_borrow_from_each_other():
    assert nested_uppers(np.array([[0.3], [0.2], [0.5]])).tolist() == [[0.2], [0.2], [0.5]]
    assert nested_lowers(np.array([[0.1], [0.05], [0.2]])).tolist() == [[0.1], [0.1], [0.2]]
    gap = np.array([[0.3], [NAN], [0.2]])
    assert np.array_equal(nested_uppers(gap), [[0.2], [NAN], [0.2]], equal_nan=True)
    assert np.array_equal(nested_lowers(gap), [[0.3], [NAN], [0.3]], equal_nan=True)


@settings(max_examples=50, deadline=None)
@given(arrays(float, (4, 3), elements=st.floats(0, 1)))
def test_nested_bounds_are_monotone_and_never_looser(values):
    high, low = nested_uppers(values), nested_lowers(values)
    assert (np.diff(high, axis=0) >= 0).all()
    assert (np.diff(low, axis=0) >= 0).all()
    assert (high <= values).all()
    assert (low >= values).all()


# -- coverage --------------------------

N, OPENED, DELTA, REPLICATIONS = 120, 60, 0.2, 1500


def refuted(count, rate=DELTA, replications=REPLICATIONS):
    return binomtest(count, replications, rate, alternative="greater").pvalue < 0.01


def nested_lists(binary):
    """Losses of 120 persons under three attacks that get at 5, 9 and 15 others, and the true worst-case risks.

    The exact bound of 60 of 120 misses 5, 14 and 29 failures with probabilities .182, .197 and .197 at .2.
    """
    attacks = np.zeros((3, N))
    for row, (first, last) in zip(attacks, ((0, 5), (5, 14), (14, 29)), strict=True):
        row[first:last] = 1
    if not binary:
        attacks = np.maximum(0.6 * attacks, np.random.default_rng(3).beta(0.5, 9, (3, N)))
    return attacks, np.maximum.accumulate(attacks, axis=0).mean(axis=1)


@pytest.mark.parametrize("binary", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_curve_over_nested_attackers_covers_all_its_points_together(binary):
    """Upper bounds at delta / 3 each, tightened over the nesting, miss some point in at most delta of draws."""
    attacks, truth = nested_lists(binary)
    random = np.random.default_rng(4)
    above, below, undivided = 0, 0, 0
    for _ in range(REPLICATIONS):
        chosen = random.permutation(N)[:OPENED]
        found = [worst_case([part(row[chosen]) for row in attacks[: size + 1]]) for size in range(3)]
        shared = [bounds(worst, DELTA / 3, population=N, binary=binary) for worst in found]
        above += (nested_uppers(np.array([b.upper for b in shared]))[:, 0] < truth - 1e-9).any()
        below += (nested_lowers(np.array([b.lower for b in shared]))[:, 0] > truth + 1e-9).any()
        if binary:
            each = [bounds(worst, DELTA, population=N).upper for worst in found]
            undivided += (nested_uppers(np.array(each))[:, 0] < truth - 1e-9).any()
    assert not refuted(above)
    assert not refuted(below)
    assert not binary or refuted(undivided)  # delta for each point is too much for the curve


def test_the_worst_single_attack_does_not_cover_an_attacker_who_chooses():
    """Three attacks with eight leaks each, on different persons: the largest single bound misses 24 of 120."""
    attacks = np.zeros((3, N))
    for number in range(3):
        attacks[number, 8 * number : 8 * number + 8] = 1
    truth, random, single, chosen_per_person = 24 / N, np.random.default_rng(5), 0, 0
    for _ in range(REPLICATIONS):
        chosen = random.permutation(N)[:OPENED]
        parts = [part(row[chosen]) for row in attacks]
        single += max(bounds(p, DELTA, population=N).upper[0] for p in parts) < truth
        chosen_per_person += bounds(worst_case(parts), DELTA, population=N).upper[0] < truth
    assert refuted(single)
    assert not refuted(chosen_per_person)


def test_thresholds_stay_with_their_attack():
    """Scores of an attack that raises everybody's: a joint threshold would hide the leak of the first attack.

    Attack one: person 0 scores 0.9, its twins at most 0.5. Attack two: everybody scores about 2, twins too. The
    largest score of person 0 is 2, below the largest twin's; the worst loss sees the leak.
    """
    scores, thresholds = np.array([[0.9, 0.1, 0.2], [2.0, 2.1, 1.9]]), np.array([0.5, 2.2])
    separate = worst_case(
        [part((row > threshold).astype(float)) for row, threshold in zip(scores, thresholds, strict=True)]
    )
    assert separate.losses.tolist() == [[1, 0, 0]]
    assert not (scores.max(axis=0) > thresholds.max()).any()
