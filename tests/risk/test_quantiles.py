"""Quantile bounds against SciPy, the exact bounds on counts, and enumeration of small worlds."""

from itertools import combinations, product
from math import ceil, comb, log, prod, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import quantile_test

from audit.risk.bounds.base import Sample, build
from audit.risk.quantiles import quantile_band, quantile_rank, quantile_units_needed, quantile_upper

LOSSES = st.lists(st.sampled_from([0.0, 0.1, 0.35, 0.8, 1.0]), min_size=1, max_size=60).map(np.array)
SHARES = st.sampled_from([0.1, 0.5, 0.8, 0.9])


@pytest.mark.parametrize(("share", "n"), [(0.5, 30), (0.8, 60), (0.9, 100), (0.95, 200)])
@pytest.mark.parametrize("delta", [0.01, 0.05])
def test_for_draws_it_is_scipys_one_sided_interval_of_a_quantile(share, n, delta):
    losses = np.random.default_rng(n).permutation(np.linspace(0, 0.99, n))
    interval = quantile_test(losses, p=share, alternative="less").confidence_interval(1 - delta)
    assert quantile_upper(losses, share, delta) == interval.high


@pytest.mark.parametrize(("n", "share", "delta"), [(59, 0.95, 0.05), (29, 0.9, 0.05), (299, 0.99, 0.05)])
def test_the_largest_loss_bounds_the_quantile_from_wilks_sample_size_on(n, share, delta):
    """share^n <= delta (Wilks 1941): 59 units for 95 % / 95 %."""
    assert quantile_rank(n, share, delta) == n
    assert quantile_rank(n - 1, share, delta) is None
    assert quantile_units_needed(share, delta) == n == ceil(log(delta) / log(share))


@given(
    losses=LOSSES,
    share=SHARES,
    delta=st.sampled_from([0.01, 0.049, 0.2]),
    level=st.sampled_from([0.0, 0.1, 0.8]),
)
@settings(max_examples=150, deadline=None)
def test_for_draws_it_says_what_clopper_pearson_says_about_the_share_below(losses, share, delta, level):
    """The quantile bound is within x exactly when the lower bound on P(loss <= x) reaches the share."""
    within = build("binomial", delta).lower(Sample((losses <= level).astype(float)), delta)
    assert (quantile_upper(losses, share, delta) <= level) == (within >= share)


@given(
    losses=LOSSES,
    spare=st.integers(0, 60),
    share=SHARES,
    delta=st.sampled_from([0.0101, 0.0499, 0.197]),
    level=st.sampled_from([0.0, 0.1, 0.8]),
)
@settings(max_examples=150, deadline=None)
def test_on_a_list_it_says_what_the_hypergeometric_says_about_the_share_below(
    losses, spare, share, delta, level
):
    size = len(losses) + spare
    count = round(
        build("hypergeometric", delta).lower(Sample((losses <= level).astype(float), size), delta) * size
    )
    needed = -(-int(share * 10) * size // 10)  # ceil(share N) in integers
    assert (quantile_upper(losses, share, delta, size) <= level) == (count >= needed)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_all_outcomes_of_nine_draws_miss_the_quantile_with_at_most_delta(share):
    """Exact: a law with ties, so that the quantile is an atom."""
    law, delta, n = {0.1: 0.5, 0.4: 0.3, 0.9: 0.2}, 0.2, 9
    quantile = next(x for x in law if sum(p for v, p in law.items() if v <= x) >= share)
    missed = sum(
        prod(law[v] for v in values)
        for values in product(law, repeat=n)
        if quantile_upper(np.array(values), share, delta) < quantile
    )
    assert missed <= delta


def test_a_rank_lower_would_miss_too_often():
    """Distinct losses: the k-th smallest misses with P(Bin(n, q) >= k), above delta one rank lower."""
    n, share, delta = 40, 0.5, 0.05
    rank = quantile_rank(n, share, delta)
    chance = [sum(comb(n, j) for j in range(k, n + 1)) / 2**n for k in (rank - 1, rank)]
    assert chance[0] > delta >= chance[1]


@pytest.mark.parametrize("n", [1, 3, 5, 8, 9])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_all_samples_of_a_list_of_nine_miss_with_at_most_delta(n, share):
    listed, delta = (0.0, 0.0, 0.1, 0.2, 0.2, 0.2, 0.6, 0.7, 1.0), 0.25
    quantile = sorted(listed)[-(-int(share * 10) * 9 // 10) - 1]
    missed = sum(
        quantile_upper(np.array(chosen), share, delta, 9) < quantile for chosen in combinations(listed, n)
    )
    assert missed <= delta * comb(9, n)


def test_a_list_seen_in_full_gives_its_own_quantile():
    losses = np.array([0.9, 0.0, 0.3, 0.1, 0.2, 0.5, 0.4, 0.6, 0.8, 0.7])
    assert [quantile_upper(losses, q, 0.001, 10) for q in (0.1, 0.3, 0.95)] == [0.0, 0.2, 0.9]


def test_a_list_needs_fewer_units_than_draws():
    """C(113, n) / C(120, n) <= .05: 95 % of 120 are 114, so 113 may lie strictly below the quantile."""
    n = quantile_units_needed(0.95, 0.05, 120)
    assert comb(113, n) / comb(120, n) <= 0.05 < comb(113, n - 1) / comb(120, n - 1)
    assert n < 59
    assert quantile_units_needed(0.95, 0.05, 5) == 5  # nobody of five may be left out
    assert quantile_units_needed(0.95, 0.05, 0) is None


def test_a_missing_score_is_a_loss_of_one():
    losses = np.r_[np.zeros(58), np.nan]
    assert quantile_upper(losses, 0.95, 0.05) == 1
    assert quantile_upper(np.zeros(59), 0.95, 0.05) == 0
    np.testing.assert_array_equal(quantile_band(losses, [0.5, 0.9], 0.05), [0.0, 1.0])


def test_too_few_units_say_nothing():
    assert quantile_upper(np.array([]), 0.5, 0.05) == 1
    assert quantile_upper(np.array([]), 0.5, 0.05, 10) == 1
    assert quantile_upper(np.zeros(58), 0.95, 0.05) == 1
    np.testing.assert_array_equal(quantile_band(np.array([]), [0.1, 0.5], 0.05), [1, 1])


@given(losses=LOSSES, share=SHARES, at=st.integers(0, 59))
@settings(max_examples=60, deadline=None)
def test_larger_losses_and_larger_shares_never_help(losses, share, at):
    raised = losses.copy()
    raised[at % len(losses)] = 1.0
    assert quantile_upper(raised, share, 0.05) >= quantile_upper(losses, share, 0.05)
    assert quantile_upper(losses, share + 0.05, 0.05) >= quantile_upper(losses, share, 0.05)
    assert quantile_upper(losses, share, 0.01) >= quantile_upper(losses, share, 0.05)


def test_the_band_is_massarts_margin_above_the_empirical_distribution():
    """n = 200, delta = .05: margin sqrt(ln 20 / 400) = .0865, so share .8 takes rank ceil(200 * .8865) = 178."""
    losses = np.arange(200) / 200
    assert sqrt(log(20) / 400) == pytest.approx(0.0865, abs=5e-5)
    np.testing.assert_array_equal(quantile_band(losses, [0.8, 0.95], 0.05), [177 / 200, 1.0])


def test_the_band_misses_some_share_in_at_most_delta_of_all_draws():
    """Uniform losses: the quantile at q is q. All shares at once, 2,000 draws of 60, exact binomial 1 %."""
    random, delta, shares = np.random.default_rng(0), 0.2, np.linspace(0.01, 0.99, 99)
    draws = random.random((2000, 60))
    missed = sum((quantile_band(draw, shares, delta) < shares).any() for draw in draws)
    pointwise = sum(any(quantile_upper(draw, q, delta) < q for q in shares) for draw in draws[:500])
    assert missed <= 442  # 99 % quantile of Bin(2000, .2)
    assert pointwise > 0.3 * 500  # bounds for one share each do not hold together: the check has teeth


@pytest.mark.parametrize("bad", [[-0.1], [1.1], [float("inf")]])
def test_losses_outside_0_and_1_are_refused(bad):
    with pytest.raises(ValueError, match="1 of 1 are not"):
        quantile_upper(np.array(bad), 0.5, 0.05)


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_share_is_strictly_between_nobody_and_everybody(share):
    with pytest.raises(ValueError, match="share must be in"):
        quantile_upper(np.zeros(5), share, 0.05)


def test_impossible_questions_are_refused():
    with pytest.raises(ValueError, match="5 units cannot come from a list of 4"):
        quantile_upper(np.zeros(5), 0.5, 0.05, 4)
    with pytest.raises(ValueError, match="delta must be in"):
        quantile_upper(np.zeros(5), 0.5, 0.0)
    with pytest.raises(ValueError, match=r"delta in \(0, 1/2\]"):
        quantile_band(np.zeros(5), [0.5], 0.6)
    with pytest.raises(ValueError, match="shape"):
        quantile_upper(np.zeros((2, 2)), 0.5, 0.05)
