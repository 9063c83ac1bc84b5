"""Chernoff-KL and Bentkus against root finders, statsmodels and exact enumeration of small worlds."""

from itertools import combinations, product
from math import ceil, comb, e, exp, fsum, log, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from audit.risk.bounds.base import Sample, build
from audit.risk.bounds.bentkus import whole

KL, BENTKUS, HB = (build(name, 0.05) for name in ("kl", "bentkus", "hoeffding_bentkus"))
GRADED = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=60).map(np.array)


def divergence(mean, risk):
    left = mean * log(mean / risk) if mean else 0.0
    return left + ((1 - mean) * log((1 - mean) / (1 - risk)) if mean < 1 else 0.0)


def outcome(failures, n):
    return Sample(np.repeat([1.0, 0.0], [failures, n - failures]))


@given(losses=GRADED, delta=st.sampled_from([1e-6, 0.003, 0.05, 0.5]))
@settings(max_examples=100, deadline=None)
def test_the_kl_bound_is_where_n_times_the_divergence_reaches_the_level(losses, delta):
    mean, n = losses.mean(), len(losses)
    upper = KL.upper(Sample(losses), delta)
    if mean == 1:
        assert upper == 1
        return
    root = brentq(lambda risk: n * divergence(mean, risk) + log(delta), mean, 1 - 1e-16, xtol=1e-14)
    assert upper == pytest.approx(root, abs=1e-9)


@pytest.mark.parametrize("n", [1, 29, 400, 100_000])
def test_without_failure_the_kl_bound_is_the_exact_one(n):
    """n kl(0, R) = -n ln(1 - R), hence U = 1 - delta^(1/n) and p = (1 - alpha)^n."""
    assert KL.upper(outcome(0, n), 0.05) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-9)
    assert KL.p_value(outcome(0, n), 0.1) == pytest.approx(0.9**n, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 30, 1000])
def test_a_single_loss_short_of_all_is_still_inverted(n):
    """Mean 1 - 1/2n: the root lies next to 1, where the divergence has its pole."""
    losses = np.ones(n)
    losses[0] = 0.5
    upper = KL.upper(Sample(losses), 0.05)
    assert losses.mean() < upper <= 1
    assert n * divergence(losses.mean(), upper) == pytest.approx(log(20), rel=1e-6)


@given(failures=st.integers(0, 40), passed=st.integers(0, 200), delta=st.sampled_from([0.003, 0.05]))
@settings(max_examples=80, deadline=None)
def test_kl_lies_between_the_exact_bound_and_hoeffdings(failures, passed, delta):
    """Chernoff bounds the binomial tail from above; Pinsker: kl >= 2 (R - mean)^2."""
    n = failures + passed
    if not n:
        return
    exact = proportion_confint(failures, n, alpha=2 * delta, method="beta")[1] if failures < n else 1.0
    upper = KL.upper(outcome(failures, n), delta)
    assert exact - 1e-9 <= upper <= min(1.0, failures / n + np.sqrt(log(1 / delta) / (2 * n))) + 1e-9


@pytest.mark.parametrize(("failures", "n"), [(0, 1), (0, 29), (4, 90), (14, 200), (28, 200)])
@pytest.mark.parametrize("delta", [0.003125, 0.05])
def test_bentkus_is_clopper_pearson_at_a_level_e_times_smaller(failures, n, delta):
    low, high = proportion_confint(failures, n, alpha=2 * delta / e, method="beta")
    assert BENTKUS.upper(outcome(failures, n), delta) == pytest.approx(high, rel=1e-9)
    assert BENTKUS.lower(outcome(failures, n), delta) == pytest.approx(low, rel=1e-9, abs=1e-12)
    expected = min(1.0, e * binom.cdf(failures, n, 0.1))
    assert BENTKUS.p_value(outcome(failures, n), 0.1) == pytest.approx(expected, rel=1e-9)


def test_graded_losses_count_as_the_next_whole_number_of_failures():
    """Twenty losses of .12 among eighty of 0 sum to 2.4, so 3 of 100."""
    sample = Sample(np.repeat([0.12, 0.0], [20, 80]))
    assert BENTKUS.p_value(sample, 0.1) == pytest.approx(e * binom.cdf(3, 100, 0.1), rel=1e-9)


def test_a_float_ceiling_would_lose_a_failure():
    """ceil(200 * (14 / 200)) is 15; the count is 14, and so is the sum of 42 thirds."""
    assert ceil(200 * (14 / 200)) == 15
    for losses in (np.repeat([1.0, 0.0], [14, 186]), np.repeat([1 / 3, 0.0], [42, 158])):
        assert BENTKUS.p_value(Sample(losses), 0.1) == pytest.approx(e * binom.cdf(14, 200, 0.1), rel=1e-9)


@given(shares=st.lists(st.fractions(0, 1, max_denominator=12), min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_the_count_is_the_ceiling_of_the_exact_sum(shares):
    """Shares as they are meant, in fractions; as stored they are off by up to 2**-54 each."""
    assert whole(fsum(map(float, shares)), len(shares)) == ceil(sum(shares))


def test_every_count_up_to_a_thousand_survives():
    assert all(whole(float(k), n) == k for n in (1, 7, 200, 1000) for k in range(n + 1))


@given(losses=GRADED, delta=st.sampled_from([0.003, 0.05, 0.3]), alpha=st.sampled_from([0.05, 0.1, 0.5]))
@settings(max_examples=60, deadline=None)
def test_hoeffding_bentkus_is_the_smaller_of_the_two(losses, delta, alpha):
    sample = Sample(losses)
    assert HB.upper(sample, delta) == min(KL.upper(sample, delta), BENTKUS.upper(sample, delta))
    assert HB.p_value(sample, alpha) == min(KL.p_value(sample, alpha), BENTKUS.p_value(sample, alpha))


@pytest.mark.parametrize("bound", [KL, BENTKUS], ids=["kl", "bentkus"])
@pytest.mark.parametrize(
    "law",
    [{0.0: 0.8, 0.5: 0.1, 1.0: 0.1}, {0.0: 0.5, 0.4: 0.3, 0.9: 0.2}, {0.1: 0.6, 1.0: 0.4}],
    ids=["halves", "uneven", "never zero"],
)
def test_seven_draws_reject_their_true_mean_with_at_most_every_level(bound, law):
    """Exact: all outcomes of seven draws from a law on a few values, at every level that they can reach."""
    risk, n = sum(value * chance for value, chance in law.items()), 7
    found = [
        (bound.p_value(Sample(np.array(values)), risk), prod(law[v] for v in values))
        for values in product(law, repeat=n)
    ]
    assert any(p < 1 for p, _ in found)
    for level in {p for p, _ in found if p < 1}:
        assert sum(chance for p, chance in found if p <= level) <= level + 1e-12


@pytest.mark.parametrize("bound", [KL, BENTKUS, HB], ids=["kl", "bentkus", "hoeffding_bentkus"])
@pytest.mark.parametrize(
    "chances", [(0.0, 0.1, 0.2, 0.6, 0.9), (0.5, 0.5, 0.5, 0.5, 1.0), (0.0, 0.0, 0.3, 1.0, 1.0)]
)
def test_distinct_units_with_random_outcomes_reject_with_at_most_every_level(bound, chances):
    """Exact: all samples of 4 of 5 units, each with half a loss at its own chance, all outcomes."""
    n, risk = 4, sum(chances) / 10
    found = [
        (
            bound.p_value(Sample(np.array(failed) / 2), risk),
            prod(q if hit else 1 - q for q, hit in zip(chosen, failed, strict=True)) / comb(5, n),
        )
        for chosen in combinations(chances, n)
        for failed in product([0, 1], repeat=n)
    ]
    for level in {p for p, _ in found if p < 1}:
        assert sum(chance for p, chance in found if p <= level) <= level + 1e-12


def test_bentkus_is_the_better_half_at_moderate_risks_and_kl_near_zero():
    assert BENTKUS.upper(outcome(40, 200), 0.05) < KL.upper(outcome(40, 200), 0.05)
    assert KL.upper(outcome(0, 200), 0.05) < BENTKUS.upper(outcome(0, 200), 0.05)


def test_kl_says_what_hoeffding_proved():
    """p = exp(-n kl): 5 of 100 tested at .1 is (.5^.05 (.95 / .9)^.95)^-100."""
    by_hand = exp(-100 * (0.05 * log(0.05 / 0.1) + 0.95 * log(0.95 / 0.9)))
    assert KL.p_value(outcome(5, 100), 0.1) == pytest.approx(by_hand, rel=1e-12)
