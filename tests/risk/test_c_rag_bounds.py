"""C-RAG's bound: right where the released root finder is wrong, and its shift theorem term by term."""

import warnings
from itertools import product
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, fsolve
from scipy.stats import binom

from audit.core.errors import AuditError
from audit.risk.bounds.base import BOUNDS, Sample, build
from audit.risk.bounds.c_rag import CRAG, gramian

PROPOSITION = build("c_rag", 0.05)
HB = build("hoeffding_bentkus", 0.05)


def outcome(failures, n):
    return Sample(np.repeat([1.0, 0.0], [failures, n - failures]))


def by_general_root_finder(mean, n, delta):
    """The inverse as it was released: fsolve on both tails, starting at mean + 0.02."""

    def tail(b):
        a = min(mean, b[0])
        return np.exp(-n * (a * np.log(a / b[0]) + (1 - a) * np.log((1 - a) / (1 - b[0])))) - delta

    def binomial(b):
        return binom.cdf(np.ceil(n * mean), n, b[0]) - delta / np.e

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return min(fsolve(tail, [mean + 0.02])[0], fsolve(binomial, [mean + 0.02])[0])


@pytest.mark.parametrize(("n", "expected"), [(50, 0.0450), (100, 0.0228), (400, 0.0057)])
def test_at_mean_zero_the_bound_depends_on_n(n, expected):
    """1 - delta^(1/n) at delta = 0.1. The released code returns its starting value 0.02 for every n."""
    assert by_general_root_finder(0.0, n, 0.1) == pytest.approx(0.02, abs=1e-9)
    assert PROPOSITION.upper(outcome(0, n), 0.1) == pytest.approx(expected, abs=5e-5)
    assert PROPOSITION.upper(outcome(0, n), 0.1) == pytest.approx(1 - 0.1 ** (1 / n), rel=1e-9)


def test_the_released_value_is_below_the_truth_up_to_113_units():
    """(1 - .02)^n > .1 up to n = 113: a risk just above .02 shows no failure more often than promised."""
    assert 0.98**113 > 0.1 > 0.98**114
    assert PROPOSITION.upper(outcome(0, 113), 0.1) > 0.02 > PROPOSITION.upper(outcome(0, 114), 0.1)


@pytest.mark.parametrize(("failures", "n"), [(1, 50), (5, 100), (30, 400)])
def test_away_from_zero_both_find_the_same_root(failures, n):
    assert PROPOSITION.upper(outcome(failures, n), 0.1) == pytest.approx(
        by_general_root_finder(failures / n, n, 0.1), abs=1e-6
    )


@given(losses=st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=1, max_size=60).map(np.array))
@settings(max_examples=50, deadline=None)
def test_without_a_shift_it_is_one_sided_hoeffding_bentkus(losses):
    sample = Sample(losses)
    assert PROPOSITION.upper(sample, 0.05) == HB.upper(sample, 0.05)
    assert PROPOSITION.lower(sample, 0.05) == HB.lower(sample, 0.05)
    assert PROPOSITION.p_value(sample, 0.1) == HB.p_value(sample, 0.1)


@pytest.mark.parametrize(
    ("radius", "expected"),
    [(0.01, 0.035), (0.02, 0.040), (0.05, 0.059), (0.1, 0.097), (0.2, 0.198), (0.3, 0.326)],
)
def test_a_risk_of_three_percent_inflates_as_tabulated(radius, expected):
    """Failures with risk .03, exact moments; reference/statistics.md section 2."""
    assert gramian(0.03, sqrt(0.03 * 0.97), radius) == pytest.approx(expected, abs=1e-3)


def test_no_coin_within_the_radius_exceeds_the_gramian_bound():
    """All pairs of coins on a grid: H^2 = 1 - sqrt(pq) - sqrt((1 - p)(1 - q))."""
    tight = 1.0
    for p, q in product(np.linspace(0, 1, 101), repeat=2):
        radius = sqrt(max(0.0, 1 - sqrt(p * q) - sqrt((1 - p) * (1 - q))))
        limit = gramian(p, sqrt(p * (1 - p)), radius)
        assert min(1.0, limit) >= q - 1e-9
        tight = min(tight, limit - q)
    assert tight < 1e-9  # the bound is attained, so the check has teeth


def published(losses, delta, radius):
    """The empirical part as the theorem writes it, then both inverses by a bracketing root finder."""
    n, square = len(losses), radius**2
    mean, variance = np.mean(losses), np.var(losses, ddof=1)
    shifted = mean + square * (2 - square) * (1 - mean)
    shifted += 2 * radius * (1 - square) * sqrt(2 - square) * sqrt(variance)
    first = (1 - square) / sqrt(2 * n) + 2 * radius * sqrt(2 * (2 - square)) / sqrt(n - 1)
    shifted += (1 - square) * first * sqrt(log(4 / delta)) + sqrt(log(8 / delta) / (2 * n))
    if shifted >= 1:
        return 1.0

    def tail(b):
        return n * (shifted * log(shifted / b) + (1 - shifted) * log((1 - shifted) / (1 - b))) + log(delta)

    whole = np.ceil(n * shifted)
    roots = [brentq(tail, shifted, 1 - 1e-15)]
    if whole < n:
        roots.append(brentq(lambda b: binom.cdf(whole, n, b) - delta / np.e, 1e-12, 1 - 1e-12))
    return min(roots)


@pytest.mark.parametrize("radius", [0.01, 0.1, 0.3, 0.9])
@pytest.mark.parametrize("n", [20, 300, 5000])
def test_under_a_shift_the_bound_is_the_published_formula(radius, n):
    losses = np.random.default_rng(n).beta(0.5, 9.5, n)
    assert CRAG(radius).upper(Sample(losses), 0.05) == pytest.approx(
        published(losses, 0.05, radius), abs=1e-6
    )


@pytest.mark.parametrize("radius", [0.02, 0.2])
@pytest.mark.parametrize("alpha", [0.2, 0.4, 0.6])
def test_under_a_shift_test_and_bound_are_one_object(radius, alpha):
    sample, bound = Sample(np.random.default_rng(0).beta(0.5, 9.5, 400)), CRAG(radius)
    p_value = bound.p_value(sample, alpha)
    for delta in (1e-6, 0.01, 0.05, 0.3, 0.9):
        assert (p_value <= delta) == (bound.upper(sample, delta) <= alpha)
    if 0 < p_value < 1:
        assert bound.upper(sample, p_value) <= alpha < bound.upper(sample, p_value * (1 - 1e-9)) + 1e-6


def test_a_wider_radius_is_never_easier():
    sample = Sample(np.random.default_rng(0).beta(0.5, 9.5, 2000))
    uppers = [CRAG(radius).upper(sample, 0.05) for radius in (0.0, 0.001, 0.01, 0.1, 0.3, 0.6, 1.0)]
    assert uppers == sorted(uppers)
    assert uppers[-1] == 1
    assert CRAG(1.0).p_value(sample, 0.99) == 1


@pytest.mark.parametrize("losses", [[], [0.0]])
def test_too_few_units_show_nothing_under_a_shift(losses):
    sample, bound = Sample(np.array(losses)), CRAG(0.05)
    assert (bound.upper(sample, 0.5), bound.lower(sample, 0.5), bound.p_value(sample, 0.99)) == (1, 0, 1)


def test_the_lower_bound_is_that_of_the_mirrored_losses():
    losses = np.random.default_rng(1).beta(9.5, 0.5, 3000)
    low = CRAG(0.05).lower(Sample(losses), 0.05)
    assert 0 < low == pytest.approx(1 - published(1 - losses, 0.05, 0.05), abs=1e-6)


@pytest.mark.parametrize("radius", [-0.1, 1.1, float("nan")])
def test_a_hellinger_distance_lies_between_0_and_1(radius):
    with pytest.raises(ValueError, match="Hellinger distance lies in"):
        CRAG(radius)
    if radius == radius:
        with pytest.raises(AuditError, match="E112"):
            BOUNDS.build(f"c_rag(radius={radius})")
