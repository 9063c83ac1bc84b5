"""The Gramian bound against the law that attains the worst case, reweighting against simulation."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import binomtest

from audit.risk.clauses import Levels, bound_clause
from audit.risk.shift import hellinger_upper, largest_radius, ratio_upper, reweighted
from audit.risk.table import Clause


@pytest.mark.parametrize(
    ("rho", "inflated"),
    [(0.01, 0.035), (0.02, 0.040), (0.05, 0.059), (0.1, 0.097), (0.2, 0.198), (0.3, 0.326)],
)
def test_a_risk_of_three_percent_is_inflated_as_measured_before(rho, inflated):
    """Values computed independently of this code; their last digit is not sure (at 0.3: 0.3255)."""
    assert hellinger_upper(0.03, rho) == pytest.approx(inflated, abs=6e-4)


def worst_coin(risk, rho):
    """The largest mean of a coin within Hellinger distance rho: angles add, sin^2(phi + theta).

    cos theta = 1 - rho^2, taken as 2 sin^2(theta / 2) = rho^2, which keeps its digits where rho is small.
    """
    angle = np.arcsin(np.sqrt(risk)) + 2 * np.arcsin(rho / np.sqrt(2))
    return float(np.sin(min(angle, np.pi / 2)) ** 2)


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
@example(0.5, 1e-8)
def test_no_coin_within_the_radius_does_worse(risk, rho):
    assert hellinger_upper(risk, rho) >= worst_coin(risk, rho) - 1e-12


def test_the_bound_is_close_to_the_worst_coin_where_it_matters():
    """It replaces 1 - 2R by 1 - R, so it exceeds the worst case by rho^2 (2 - rho^2) R."""
    for rho in (0.01, 0.1, 0.3):
        assert hellinger_upper(0.03, rho) - worst_coin(0.03, rho) == pytest.approx(
            rho**2 * (2 - rho**2) * 0.03
        )


@pytest.mark.parametrize("rho", [0.05, 0.2, 0.4])
def test_no_law_on_graded_losses_within_the_radius_does_worse(rho):
    """The worst of all weights on five loss values, searched numerically."""
    losses, audited = np.array([0.0, 0.1, 0.3, 0.6, 1.0]), np.array([0.5, 0.3, 0.1, 0.06, 0.04])
    mean = losses @ audited
    variance = losses**2 @ audited - mean**2
    found = minimize(
        lambda root: -(root**2 @ losses),
        np.sqrt(audited),
        constraints=[
            {"type": "eq", "fun": lambda root: root @ root - 1},
            {"type": "ineq", "fun": lambda root: root @ np.sqrt(audited) - (1 - rho**2)},
        ],
        bounds=[(0, 1)] * 5,
    )
    assert found.success
    assert mean < -found.fun <= hellinger_upper(mean, rho, variance) + 1e-6
    assert hellinger_upper(mean, rho, variance) <= hellinger_upper(mean, rho)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_bound_rises_with_the_risk_so_upper_bounds_may_be_put_in(risk, higher, rho):
    low, high = sorted((risk, higher))
    assert hellinger_upper(low, rho) <= hellinger_upper(high, rho) + 1e-12


def test_beyond_the_radius_that_is_proven_nothing_is_claimed():
    """For 0/1 losses rho^2 <= 1 - sqrt(R): with R = 1/4 up to rho^2 = 1/2."""
    assert hellinger_upper(0.25, np.sqrt(0.5) + 1e-6) == 1.0
    assert hellinger_upper(0.01, np.sqrt(0.9) + 1e-6) == 1.0
    assert hellinger_upper(0.01, 0.5) < 1.0


@pytest.mark.parametrize("risk", [float("nan"), 1.0, 1.2, -0.1])
def test_undefined_or_total_risks_stay_total(risk):
    assert hellinger_upper(risk, 0.0) == 1.0
    assert ratio_upper(risk, 2.0) == 1.0


def test_without_a_shift_nothing_changes():
    assert hellinger_upper(0.037, 0.0) == 0.037
    assert ratio_upper(0.037, 1.0) == 0.037


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 0.3), st.floats(0, 0.5))
def test_the_largest_radius_keeps_the_budget_and_a_little_more_does_not(risk, budget):
    found = largest_radius(risk, budget)
    if risk > budget:
        assert found is None
    else:
        assert hellinger_upper(risk, found) <= budget
        assert hellinger_upper(risk, min(1.0, found + 1e-6)) > budget


def test_odd_assumptions_are_refused():
    with pytest.raises(ValueError, match="Hellinger"):
        hellinger_upper(0.1, 1.1)
    with pytest.raises(ValueError, match="variance"):
        hellinger_upper(0.1, 0.1, 0.2)
    with pytest.raises(ValueError, match="ratio >= 1"):
        ratio_upper(0.1, 0.9)
    with pytest.raises(ValueError, match="in \\[0, 2\\]"):
        reweighted(np.zeros((1, 2)), np.array([1.0, 2.5]), 2.0)
    with pytest.raises(ValueError, match="one weight per unit"):
        reweighted(np.zeros((1, 2)), np.ones(3), 2.0)


# -- known likelihood ratios --------------------------


def test_reweighted_losses_average_to_the_risk_under_the_other_law():
    """Four units, the last asked three times as often: weights .5 .5 .5 2.5, losses 0 1 0 1, ratio 2.5."""
    weights = np.array([0.5, 0.5, 0.5, 2.5])
    found = reweighted(np.array([[0.0, 1.0, 0.0, 1.0]]), weights, 2.5)
    assert found.mean() * 2.5 == pytest.approx((0.5 + 2.5) / 4)


def test_a_missing_score_weighs_like_a_loss():
    found = reweighted(np.array([[np.nan, 0.0]]), np.array([1.5, 0.5]), 1.5)
    assert found.tolist() == [[1.0, 0.0]]


def refuted(count, replications, rate):
    return binomtest(count, replications, rate, alternative="greater").pvalue < 0.01


@pytest.mark.parametrize("population", [None, 120])
def test_weighted_bounds_and_tests_hold_for_the_other_law(population):
    """Half of the units matter 1.8 times as much and leak four times as often; 700 audits of 60 units."""
    random, ratio, delta = np.random.default_rng(1), 1.8, 0.1
    kind = np.arange(120) % 2 == 0
    weights = np.where(kind, 1.8, 0.2)
    leaks = np.zeros(120)
    leaks[np.flatnonzero(kind)[:16]] = 1
    leaks[np.flatnonzero(~kind)[:4]] = 1
    truth = float((weights * leaks).mean())  # (16 * 1.8 + 4 * 0.2) / 120
    assert truth == pytest.approx(29.6 / 120)
    missed = rejected = unweighted = 0
    for _ in range(700):
        chosen = random.permutation(120)[:60] if population else random.integers(0, 120, 60)
        values = reweighted(leaks[None, chosen], weights[chosen], ratio)
        clause = Clause("x", "forget", values, population, binary=False)
        found = bound_clause(clause, (truth - 1e-9) / ratio, Levels(delta, delta, delta))
        missed += ratio * found.upper[0] < truth
        rejected += found.p_value[0] <= delta
        plain = Clause("y", "forget", leaks[None, chosen], population, binary=True)
        unweighted += bound_clause(plain, 0.1, Levels(delta, delta, delta)).upper[0] < truth
    assert not refuted(missed, 700, delta)
    assert not refuted(rejected, 700, delta)
    assert refuted(unweighted, 700, delta)  # the audited law says too little about the other
