"""Binomial and hypergeometric against SciPy, statsmodels and exact enumeration in integers."""

from fractions import Fraction
from itertools import combinations, product
from math import comb, prod

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from audit.risk.bounds.base import Sample, build, exact

BINOMIAL, HYPERGEOMETRIC = build("binomial", 0.05), build("hypergeometric", 0.05)


def outcome(failures, n, population=None):
    return Sample(np.repeat([1.0, 0.0], [failures, n - failures]), population)


@pytest.mark.parametrize(("failures", "n"), [(0, 1), (0, 29), (4, 90), (14, 200), (28, 200), (7, 7)])
@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.5])
def test_the_binomial_p_value_is_scipys_exact_test(failures, n, alpha):
    expected = binomtest(failures, n, alpha, alternative="less").pvalue
    assert BINOMIAL.p_value(outcome(failures, n), alpha) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("failures", "n"), [(0, 1), (0, 29), (4, 90), (14, 200), (7, 7)])
@pytest.mark.parametrize("delta", [0.003125, 0.05])
def test_the_binomial_bounds_are_the_exact_one_sided_intervals(failures, n, delta):
    sample = outcome(failures, n)
    one_sided = binomtest(failures, n, alternative="less").proportion_ci(1 - delta, method="exact")
    low, high = proportion_confint(failures, n, alpha=2 * delta, method="beta")
    assert BINOMIAL.upper(sample, delta) == pytest.approx(one_sided.high, rel=1e-9)
    assert BINOMIAL.upper(sample, delta) == pytest.approx(high, rel=1e-9)
    assert BINOMIAL.lower(sample, delta) == pytest.approx(low, rel=1e-9)


def test_zero_failures_give_the_closed_form_bound():
    """(1 - U)^n = delta, hence U = 1 - delta^(1/n)."""
    assert BINOMIAL.upper(outcome(0, 29), 0.05) == pytest.approx(1 - 0.05 ** (1 / 29), rel=1e-12)


def test_failures_are_counted_not_rounded():
    """ceil(200 * (14 / 200)) is 15 in floating point."""
    losses = np.zeros(200)
    losses[:14] = 1
    assert np.ceil(200 * losses.mean()) == 15
    assert Sample(losses).failures == 14


def hypergeometric_cdf(failures, size, failing, n):
    """P(at most ``failures``) as a fraction of integers."""
    ways = sum(comb(failing, k) * comb(size - failing, n - k) for k in range(failures + 1) if n - k >= 0)
    return Fraction(ways, comb(size, n))


@pytest.mark.parametrize("size", [1, 2, 7, 10, 13])
def test_the_hypergeometric_bound_and_test_equal_enumeration(size):
    for n in range(1, size + 1):
        for k, delta in product(range(n + 1), (0.0101, 0.0499, 0.297)):  # no ties with P
            possible = [m for m in range(size + 1) if k <= m <= size - (n - k)]
            most = max(m for m in possible if hypergeometric_cdf(k, size, m, n) > Fraction(repr(delta)))
            at_least = {m: 1 - hypergeometric_cdf(k - 1, size, m, n) if k else Fraction(1) for m in possible}
            fewest = min(m for m in possible if at_least[m] > Fraction(repr(delta)))
            sample = outcome(k, n, size)
            assert HYPERGEOMETRIC.upper(sample, delta) == most / size
            assert HYPERGEOMETRIC.lower(sample, delta) == pytest.approx(fewest / size, abs=1e-15)


@pytest.mark.parametrize("alpha", ["0.05", "0.1", "0.3", "0.7", "0.95"])
def test_the_hypergeometric_null_starts_one_unit_above_the_budget(alpha):
    """0.3 * 10 is 3 failing units allowed, although the nearest double lies below 3/10."""
    for size in (10, 13, 20):
        null = int(Fraction(alpha) * size) + 1
        for n in range(1, size + 1):
            for k in range(n + 1):
                p_value = HYPERGEOMETRIC.p_value(outcome(k, n, size), float(alpha))
                assert p_value == pytest.approx(float(hypergeometric_cdf(k, size, null, n)), rel=1e-9)


@pytest.mark.parametrize("n", [1, 4, 9, 12])
def test_the_hypergeometric_bound_misses_with_at_most_delta_for_every_list(n):
    """All lists of 12 units, all outcomes, exact probabilities: coverage as a theorem, not a simulation."""
    size, delta = 12, 0.05
    upper = [HYPERGEOMETRIC.upper(outcome(k, n, size), delta) for k in range(n + 1)]
    for failing in range(size + 1):
        missing = [k for k in range(n + 1) if upper[k] < failing / size]
        miss = sum(Fraction(comb(failing, k) * comb(size - failing, n - k), comb(size, n)) for k in missing)
        assert miss <= Fraction(5, 100)


def test_the_binomial_bound_covers_units_drawn_from_a_list_with_random_outcomes():
    """Exact: all samples of 3 of 5 units with unequal failure probabilities, all outcomes."""
    chances, n, delta = np.array([0.0, 0.1, 0.2, 0.6, 0.9]), 3, 0.05
    upper = [BINOMIAL.upper(outcome(k, n), delta) for k in range(n + 1)]
    miss = 0.0
    for chosen in combinations(chances, n):
        for failed in product([0, 1], repeat=n):
            chance = prod(q if hit else 1 - q for q, hit in zip(chosen, failed, strict=True))
            miss += chance * (upper[sum(failed)] < chances.mean()) / comb(len(chances), n)
    assert miss <= delta


@pytest.mark.parametrize(
    ("size", "alpha", "needed"),
    [(20, 0.1, 12), (20, 0.05, 16), (40, 0.1, 18), (100, 0.1, 23), (200, 0.1, 26), (1000, 0.1, 28)],
)
def test_units_without_failure_that_certify_a_finite_list(size, alpha, needed):
    """Exact values tabulated for delta = 0.05; reference/statistics.md section 4c."""
    assert HYPERGEOMETRIC.p_value(outcome(0, needed, size), alpha) <= 0.05
    assert HYPERGEOMETRIC.p_value(outcome(0, needed - 1, size), alpha) > 0.05


def test_known_bounds_on_a_list_of_400():
    """N = 400, n = 200: 0 failures give .010, 5 give .0425 (same table)."""
    assert HYPERGEOMETRIC.upper(outcome(0, 200, 400), 0.05) == 0.01
    assert HYPERGEOMETRIC.upper(outcome(5, 200, 400), 0.05) == 0.0425


def test_hypergeometric_needs_a_list():
    with pytest.raises(ValueError, match="population=None"):
        HYPERGEOMETRIC.upper(outcome(0, 5), 0.05)


def test_budgets_are_the_decimals_they_were_written_as():
    assert exact(0.3) == Fraction(3, 10)
    assert exact(np.float64(0.1)) == Fraction(1, 10)
