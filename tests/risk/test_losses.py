"""Losses from metric values, each expected value derived by hand."""

from itertools import combinations
from math import comb, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta as beta_law
from scipy.stats import norm

from audit.core.errors import AuditError
from audit.risk import losses

NAN = np.nan


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, equal_nan=True)


def test_one_yielded_secret_is_enough_and_a_missing_probe_leaves_the_rest_open():
    hits = [[0, 0], [0, 1], [NAN, 1], [NAN, 0], [NAN, NAN]]
    same(losses.recovered(np.array(hits)), [0, 1, 1, NAN, NAN])


def test_padding_is_no_missing_probe_when_the_probes_asked_are_named():
    hits = np.array([[0, NAN], [1, NAN], [NAN, NAN]])
    asked = np.array([[True, False], [True, False], [False, False]])
    same(losses.recovered(hits, asked), [0, 1, NAN])


def test_hits_are_zero_or_one():
    with pytest.raises(ValueError, match="0 or 1"):
        losses.recovered(np.array([[0.5]]))


def test_answered_includes_the_threshold():
    same(losses.answered(np.array([[0.1, 0.7], [0.69, 0.2], [NAN, 0.7], [NAN, 0.1]]), 0.7), [1, 0, 1, NAN])


def test_above_twins_pools_the_mean_and_exceeds_strictly():
    """Means: (1+3)/2 = 2 > 1.5; (1+2)/2 = 1.5 is not above; one missing score leaves the mean unknown."""
    scores = np.array([[1.0, 3.0], [1.0, 2.0], [9.0, NAN]])
    same(losses.above_twins(scores, 1.5), [1, 0, NAN])
    same(losses.above_twins(scores, 2.5, pool="max"), [1, 0, 1])


@pytest.mark.parametrize(
    ("m", "beta", "rank"),
    [(200, 0.01, 199), (99, 0.01, 99), (199, 0.01, 198), (19, 0.05, 19), (9, 0.3, 7), (29, 0.1, 27)],
)
def test_the_rank_of_the_threshold_is_exact(m, beta, rank):
    """r = m + 1 - floor(beta (m + 1)): 201 - 2, 100 - 1, 200 - 2, 20 - 1, 10 - 3 (exactly), 30 - 3."""
    assert losses.twin_rank(m, beta) == rank
    twins = np.arange(1, m + 1, dtype=float)
    assert losses.twin_threshold(np.random.default_rng(0).permutation(twins), beta) == rank


@pytest.mark.parametrize(("m", "beta", "needed"), [(98, 0.01, 99), (0, 0.5, 1), (18, 0.05, 19)])
def test_too_few_twins_are_refused_with_the_number_that_would_do(m, beta, needed):
    for ask in (losses.twin_threshold, lambda t, b: losses.over_forgotten(np.zeros((1, 1)), t, b)):
        with pytest.raises(AuditError, match=f"E401 .* at least {needed} twins"):
            ask(np.zeros(m), beta)
    losses.twin_rank(needed, beta)


def test_the_natural_spread_is_the_median_less_the_low_end():
    """0 to 39: the median is 19.5; floor(.1 x 41) = 4th smallest is 3, of too small a share the smallest, 0."""
    scores = np.arange(40, dtype=float)
    assert losses.natural_spread(scores, 0.1) == 19.5 - 3
    assert losses.natural_spread(scores, 0.01) == 19.5
    assert losses.natural_spread(np.append(scores, NAN), 0.1) == 19.5 - 3
    assert losses.natural_spread(scores[:19], 0.1) == np.inf


def test_below_retrained_compares_with_the_same_questions_and_strictly():
    scores = np.array([[-5.0, -7.0], [-6.0, -6.0], [-9.0, -9.1], [NAN, -9.0]])
    retrained = np.full((4, 2), -3.0)
    same(losses.below_retrained(scores, retrained, 3.0), [0, 0, 1, NAN])
    same(losses.below_retrained(scores, np.full((4, 2), NAN), 3.0), [NAN] * 4)


@pytest.mark.parametrize(
    ("shared", "rate"),
    [(0.0, norm.cdf(norm.ppf(0.01) / np.sqrt(2))), (0.9, norm.cdf(norm.ppf(0.01) / 0.2**0.5))],
)
def test_a_model_like_the_retrained_one_lies_below_it_rarely(shared, rate):
    """Both scores of a subject are normal with correlation ``shared``: the difference has variance 2 - 2 shared.

    The spread tends to -z, z the 1 % quantile. Uncorrelated is the worst case: 5 %, below a budget of a tenth.
    """
    random = np.random.default_rng(0)
    common, first, second = random.standard_normal((3, 200_000))
    scores, retrained = (
        shared**0.5 * common + (1 - shared) ** 0.5 * own for own in (first, second)
    )  # each of variance 1
    spread = losses.natural_spread(random.standard_normal(200_000), 0.01)
    flagged = losses.below_retrained(scores[:, None], retrained[:, None], spread).mean()
    assert flagged == pytest.approx(rate, abs=0.003)
    assert flagged < 0.1


def test_a_common_shift_beyond_the_spread_flags_everybody_and_knowing_more_flags_nobody():
    """Half a nat beyond the spread, with noise of a tenth: five standard deviations for each of 500."""
    random = np.random.default_rng(1)
    retrained = random.standard_normal((500, 1))
    spread = losses.natural_spread(random.standard_normal(200), 0.01)
    collapsed = retrained - spread - 0.5 + 0.1 * random.standard_normal((500, 1))
    assert losses.below_retrained(collapsed, retrained, spread).mean() == 1.0
    assert losses.below_retrained(retrained + 5, retrained, spread).mean() == 0.0


def test_a_twin_without_a_score_can_only_make_the_audit_stricter():
    twins = np.arange(20, dtype=float)
    gap = twins.copy()
    gap[19] = NAN
    assert losses.twin_threshold(gap, 0.1) < losses.twin_threshold(twins, 0.1)
    scores = np.array([[0.5], [1.5]])
    assert (losses.over_forgotten(scores, gap, 0.1) >= losses.over_forgotten(scores, twins, 0.1)).all()


def test_over_forgotten_lies_below_the_low_end_of_the_twins():
    """m = 19, beta = .1: the 2nd smallest twin, 1.0; strictly below counts."""
    scores = np.array([[0.5, 1.4], [1.0, 1.0], [0.9, 1.0], [NAN, 0.0]])
    same(losses.over_forgotten(scores, np.arange(19, dtype=float), 0.1), [1, 0, 1, NAN])


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_never_trained_unit_lies_above_the_twins_in_at_most_beta_of_all_rank_orders(seed):
    """Of m + 1 exchangeable scores exactly floor(beta (m + 1)) exceed the threshold made by the others."""
    scores = np.random.default_rng(seed).normal(size=40)
    above = [
        losses.above_twins(scores[i : i + 1, None], losses.twin_threshold(np.delete(scores, i), 0.1))[0]
        for i in range(40)
    ]
    assert sum(above) == 4


def test_residual_knowledge_is_the_share_of_the_gap_that_is_left():
    """g = 2 between reference 1 and original 5: 1/4; below the reference 0; above the original 1."""
    reference, original = (
        np.array([[1.0, 1.0]] * 4),
        np.array([[5.0, 5.0], [5.0, 5.0], [5.0, 5.0], [1.0, 1.0]]),
    )
    scores = np.array([[1.0, 3.0], [0.0, 0.5], [6.0, 9.0], [1.0, 1.0]])
    same(losses.residual_knowledge(scores, reference, original), [0.25, 0, 1, NAN])


def test_froc_is_zero_at_the_reference_and_follows_the_soft_margin():
    """s = nll - accuracy. At the reference softplus(0) = ln 2. One nat better known: ln(1 + e)."""
    nll, accuracy = (
        np.array([[2.0], [1.0], [0.5], [9.0], [-90.0]]),
        np.array([[0.0], [0.0], [0.5], [0.0], [1.0]]),
    )
    reference_nll, reference_accuracy = np.full((5, 1), 2.0), np.zeros((5, 1))
    found = losses.froc(nll, accuracy, reference_nll, reference_accuracy, kappa=1.0, ceiling=5.0)
    margin = [log(2), log(1 + np.e), log(1 + np.exp(2.0))]
    same(found[:3], [(m - log(2)) / (5 - log(2)) for m in margin])
    same(found[3:], [0, 1])


@pytest.mark.parametrize(("kappa", "ceiling"), [(0.0, 5.0), (1.0, 0.5)])
def test_froc_refuses_constants_that_cannot_rank(kappa, ceiling):
    with pytest.raises(ValueError, match="ceiling > ln 2"):
        losses.froc(*(np.zeros((1, 1)) for _ in range(4)), kappa=kappa, ceiling=ceiling)


@pytest.mark.parametrize(("c", "k"), [(0, 1), (1, 1), (3, 2), (9, 4), (10, 10)])
def test_leak_at_k_is_the_share_of_subsets_with_a_leak(c, k):
    leaks = np.array([[1.0] * c + [0.0] * (10 - c)])
    same(losses.leak_at_k(leaks, k), [1 - comb(10 - c, k) / comb(10, k)])


def test_leak_at_k_with_a_missing_sample_is_open_unless_every_subset_leaks():
    """M = 3, k = 2: with two leaks every pair holds one, whatever the third sample says."""
    same(losses.leak_at_k(np.array([[1, 1, NAN], [1, 0, NAN]]), 2), [1, NAN])


def test_leak_at_k_needs_enough_samples():
    with pytest.raises(ValueError, match="k=4"):
        losses.leak_at_k(np.zeros((1, 3)), 4)


def test_utility_counts_what_the_original_answers_right():
    correct = np.array([[1, 0, 0], [1, 1, 0], [NAN, 1, 1], [0, 0, 0]], dtype=float)
    asked = np.array([[True, True, False], [True, True, False], [True, True, False], [False, False, False]])
    same(losses.utility_harm(correct, asked), [0.5, 0, NAN, NAN])
    same(losses.utility_error(correct), [2 / 3, 1 / 3, NAN, 1])


def test_utility_drop_is_net_of_gains_and_has_its_own_budget():
    """Accuracy 1 -> 1/2 gives (1 + 1/2)/2 = 3/4; a gain of 1/2 gives 1/4; a 10 % drop is the budget .55."""
    same(
        losses.utility_drop(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 1.0], [0.0, 0.0]])),
        [0.75, 0.25],
    )
    assert losses.drop_budget(0.1) == pytest.approx(0.55)


def test_the_base_rate_of_recovered_counts_every_guess():
    """Two secrets of 33 bits, 5 attacks, 4 samples: 40 guesses at 2^-33."""
    assert losses.recovered_base_rate([33, 33], attacks=5, samples=4) == pytest.approx(40 * 2.0**-33)


@pytest.mark.parametrize("bits", [[13.0], [40.0, 13.2], [40.0, NAN]])
def test_secrets_that_can_be_guessed_are_refused(bits):
    """2^-13 = 1.2e-4 is above 1e-4; an unknown entropy is no entropy."""
    with pytest.raises(AuditError, match="E402"):
        losses.recovered_base_rate(bits, attacks=1)


def test_the_base_rate_of_above_twins_is_the_beta_law_of_an_order_statistic():
    """m = 200, beta = .01: r = 199, the share above it is Beta(2, 199), 90 % of it in about .2 to 2.3 %."""
    low, high = losses.above_twins_base_rate(200, 0.01)
    assert beta_law.cdf(low, 2, 199) == pytest.approx(0.05)
    assert beta_law.cdf(high, 2, 199) == pytest.approx(0.95)
    draws = np.sort(np.random.default_rng(0).random((4000, 200)), axis=1)[:, 198]
    assert np.mean((1 - draws > low) & (1 - draws < high)) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("rank", [1, 3, 4])
def test_the_chance_of_units_above_twins_equals_the_share_of_arrangements(rank):
    """Three units and four twins in all 35 orders, each as probable as the others."""
    orders = [[0 if i in units else 1 for i in range(7)] for units in combinations(range(7), 3)]
    above = []
    for order in orders:  # ascending; 1 is a twin
        threshold = [i for i, is_twin in enumerate(order) if is_twin][rank - 1]
        above.append(sum(not is_twin for is_twin in order[threshold + 1 :]))
    for k in range(4):
        expected = sum(a >= k for a in above) / len(orders)
        assert losses.chance_above_twins(k, 3, 4, rank) == pytest.approx(expected)


def test_three_of_twenty_authors_above_all_twenty_twins_are_chance():
    """The three likeliest of forty are all forgotten ones: 20/40 x 19/39 x 18/38."""
    expected = 20 / 40 * 19 / 39 * 18 / 38
    assert losses.chance_above_twins(3, 20, 20, 20) == pytest.approx(expected)


@given(
    values=st.lists(
        st.lists(st.sampled_from([0.0, 0.5, 1.0, NAN]), min_size=3, max_size=3), min_size=1, max_size=5
    )
)
@settings(max_examples=50, deadline=None)
def test_every_loss_is_missing_or_between_0_and_1(values):
    values = np.array(values)
    whole = np.where(values == 0.5, 1.0, values)
    for found in (
        losses.recovered(whole),
        losses.answered(values, 0.5),
        losses.above_twins(values, 0.4),
        losses.over_forgotten(values, np.linspace(0, 1, 30), 0.1),
        losses.below_retrained(values, whole, 0.3),
        losses.residual_knowledge(values, np.zeros_like(values), np.full_like(values, 0.8)),
        losses.froc(values, whole, np.ones_like(values), np.zeros_like(values)),
        losses.leak_at_k(whole, 2),
        losses.utility_error(values),
        losses.utility_drop(values, whole),
    ):
        assert found.shape == (len(values),)
        assert (np.isnan(found) | ((found >= 0) & (found <= 1))).all()
    assert set(np.unique(losses.recovered(whole))) <= {0.0, 1.0} or np.isnan(losses.recovered(whole)).any()


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"\(units, probes\)"):
        losses.recovered(np.zeros(3))
    with pytest.raises(ValueError, match="asked must be"):
        losses.recovered(np.zeros((2, 2)), np.ones((2, 3), dtype=bool))
