"""Maurer-Pontil and Hoeffding-Serfling against their formulas, root finders and exact enumeration."""

from itertools import combinations, permutations, product
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from audit.risk.bounds.base import Sample, build

MP, HS, HOEFFDING = (build(name, 0.05) for name in ("maurer_pontil", "hoeffding_serfling", "hoeffding"))
GRADED = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), min_size=2, max_size=40)


def published(losses, delta):
    """The right side of Maurer and Pontil's Theorem 4, variance by all pairs."""
    n = len(losses)
    variance = sum((a - b) ** 2 for a, b in combinations(losses, 2)) / (n * (n - 1))
    return sum(losses) / n + sqrt(2 * variance * log(2 / delta) / n) + 7 * log(2 / delta) / (3 * (n - 1))


@given(losses=GRADED, delta=st.sampled_from([0.001, 0.05, 0.4]))
@settings(max_examples=80, deadline=None)
def test_the_empirical_bernstein_bound_is_theorem_4(losses, delta):
    assert MP.upper(Sample(np.array(losses)), delta) == pytest.approx(
        min(1.0, published(losses, delta)), rel=1e-9
    )


@given(losses=GRADED, repeats=st.integers(1, 4), alpha=st.sampled_from([0.1, 0.4, 0.9]))
@settings(max_examples=40, deadline=None)
def test_its_p_value_is_the_delta_at_which_the_bound_is_the_budget(losses, repeats, alpha):
    losses = losses * repeats
    p_value = MP.p_value(Sample(np.array(losses)), alpha)
    if published(losses, 1.0) > alpha:
        assert p_value == 1
    else:
        root = brentq(lambda x: published(losses, exp(x)) - alpha, -700, 0, xtol=1e-12)
        assert log(p_value) == pytest.approx(root, rel=1e-6, abs=1e-9)


def test_small_variance_pays_and_a_fair_coin_does_not():
    """400 losses of .5 against 200 failures of 400, t = ln 40: V is 0 and 100/399.

    Hoeffding's is sqrt(ln 20 / 800) = .0612, theirs .0216 and .0216 + .0680 = .0896.
    """
    steady, coin = Sample(np.full(400, 0.5)), Sample(np.repeat([1.0, 0.0], [200, 200]))
    assert MP.upper(steady, 0.05) == pytest.approx(0.5 + 0.0216, abs=5e-5)
    assert MP.upper(coin, 0.05) == pytest.approx(0.5 + 0.0896, abs=1e-4)
    assert MP.upper(steady, 0.05) < HOEFFDING.upper(steady, 0.05) < MP.upper(coin, 0.05)


def test_one_unit_has_no_variance_and_shows_nothing():
    one = Sample(np.zeros(1))
    assert (MP.upper(one, 0.5), MP.lower(one, 0.5), MP.p_value(one, 0.99)) == (1, 0, 1)


def test_coin_sequences_reject_with_at_most_every_level():
    """Exact: the law {0, .3, 1} drawn eight times; levels are those the p-value can take."""
    law = {0.0: 0.2, 0.3: 0.6, 1.0: 0.2}
    risk, levels = 0.38, {}
    for values in product(law, repeat=8):
        p = MP.p_value(Sample(np.array(values)), risk)
        levels[p] = levels.get(p, 0.0) + float(np.prod([law[v] for v in values]))
    reached = 0.0
    for p in sorted(levels):
        reached += levels[p]
        assert reached <= p + 1e-12


@pytest.mark.parametrize(
    ("n", "size", "rho"), [(50, 100, 0.51), (10, 100, 0.91), (90, 100, 0.1 * (1 + 1 / 90)), (1, 7, 1.0)]
)
def test_the_margin_shrinks_by_the_share_of_the_list_that_was_seen(n, size, rho):
    """min(1 - (n - 1)/N, (1 - n/N)(1 + 1/n)) by hand."""
    losses = np.full(n, 0.25)
    margin = sqrt(rho * log(20) / (2 * n))
    assert HS.upper(Sample(losses, size), 0.05) == pytest.approx(min(1.0, 0.25 + margin), rel=1e-12)
    assert HS.lower(Sample(losses, size), 0.05) == pytest.approx(max(0.0, 0.25 - margin), abs=1e-12)
    assert HS.p_value(Sample(losses, size), 0.4) == pytest.approx(exp(-2 * n * 0.15**2 / rho), rel=1e-12)


def test_a_list_seen_in_full_has_its_own_mean_as_bound():
    whole = Sample(np.repeat([1.0, 0.0], [3, 7]), 10)
    assert HS.upper(whole, 0.001) == 0.3
    assert HS.lower(whole, 0.001) == pytest.approx(0.3, abs=1e-15)
    assert (HS.p_value(whole, 0.3), HS.p_value(whole, 0.29)) == (0, 1)


@given(losses=GRADED, spare=st.integers(0, 200), delta=st.sampled_from([0.003, 0.05]))
@settings(max_examples=60, deadline=None)
def test_a_finite_list_is_never_harder_than_draws(losses, spare, delta):
    sample = Sample(np.array(losses), len(losses) + spare)
    assert HS.upper(sample, delta) <= HOEFFDING.upper(sample, delta) + 1e-12
    far = Sample(np.array(losses), 10**9)
    assert HS.upper(far, delta) == pytest.approx(HOEFFDING.upper(far, delta), abs=1e-6)


@pytest.mark.parametrize(
    "listed", [(0, 0, 0, 0, 0, 1, 1), (0, 0, 0.5, 0.5, 0.5, 0.5, 1), (0, 0, 0, 0, 0, 0, 1)]
)
@pytest.mark.parametrize("n", [1, 3, 5, 6, 7])
def test_all_samples_of_a_small_list_reject_with_at_most_every_level(listed, n):
    """Exact: all orders of seven units, at the boundary of the null."""
    truth = float(np.mean(listed)) - 1e-9
    found = [
        HS.p_value(Sample(np.array(order[:n], dtype=float), 7), truth) for order in set(permutations(listed))
    ]
    for level in {p for p in found if p < 1}:
        assert sum(p <= level for p in found) <= level * len(found) + 1e-9


def test_a_list_bound_needs_the_size_of_the_list():
    with pytest.raises(ValueError, match="population=None"):
        HS.upper(Sample(np.zeros(3)), 0.05)
