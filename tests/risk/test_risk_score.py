"""e_R: what its bound promises, and that absence never makes a configuration look better."""

import numpy as np
import pytest
from scipy.stats import binomtest, hypergeom

from audit.risk.bounds.base import Sample, build
from audit.risk.froc import Weights
from audit.risk.risk_score import score
from audit.risk.table import Clause

N, UNITS = 120, 90


def counted(*failures, n=UNITS):
    """Rows of 0/1 losses with the given numbers of failures."""
    return np.array([np.repeat([1.0, 0.0], [k, n - k]) for k in failures])


def clause(losses, side="forget", name="none", **changes):
    return Clause(name, side, losses, **{"population": N, "binary": True, **changes})


def utility(losses, **changes):
    return clause(losses, "utility", "utility", **changes)


def upper(failures, level):
    """Largest M / N with P(X <= failures) > level, by trying all M."""
    return max(m for m in range(N + 1) if hypergeom.cdf(failures, N, m, UNITS) > level) / N


def test_on_a_list_it_adds_two_bounds_at_half_the_level_each():
    found = score([clause(counted(3))], utility(counted(9)), 0.05, Weights(0.25, 0.75))
    np.testing.assert_allclose(found.upper, [0.25 * upper(3, 0.025) + 0.75 * upper(9, 0.025)])


def test_the_worst_attack_counts_without_a_correction():
    attacks = [clause(counted(3, 0)), clause(counted(1, 7), name="int4")]
    found = score(attacks, utility(counted(9, 9)), 0.05)
    np.testing.assert_allclose(found.forget, [3 / UNITS, 7 / UNITS])
    np.testing.assert_allclose(found.estimate, [(3 + 9) / UNITS / 2, (7 + 9) / UNITS / 2])
    np.testing.assert_allclose(found.upper, [(upper(k, 0.025) + upper(9, 0.025)) / 2 for k in (3, 7)])


def test_a_census_needs_no_bound():
    found = score([clause(counted(3, n=N))], utility(counted(9, n=N)), 0.05)
    np.testing.assert_allclose([found.upper, found.estimate], [[12 / N / 2], [12 / N / 2]])


def test_draws_are_paired_in_their_recorded_order():
    """One bound on the pairs' weighted losses; of 60 and 40 units, 40 pairs."""
    random = np.random.default_rng(0)
    lost, kept = random.beta(1, 9, (2, 60)), random.beta(1, 9, (2, 40))
    found = score(
        [clause(lost, population=None, binary=False)],
        utility(kept, population=None, binary=False),
        0.05,
        Weights(0.3, 0.7),
    )
    bound = build("betting", 0.05)
    pairs = 0.3 * lost[:, :40] + 0.7 * kept
    assert found.upper.tolist() == [bound.upper(Sample(row), 0.05) for row in pairs]


def test_pairing_has_the_power_it_was_chosen_for():
    """Both risks 0.05, n = 200, budget 0.1, level 0.05: the reference simulation certified 95 %."""
    random = np.random.default_rng(1)
    draws = (random.random((2, 300, 200)) < 0.05).astype(float)
    found = score([clause(draws[0], population=None)], utility(draws[1], population=None), 0.05)
    assert 0.90 <= (found.upper <= 0.1).mean() <= 0.99


@pytest.mark.parametrize("population", [None, 150])
def test_the_bound_misses_no_more_often_than_promised(population):
    """Risks 0.2 and 0.1 under 600 samples; the estimate itself, as a bound, is caught."""
    random = np.random.default_rng(2)
    if population is None:
        lost, kept = (random.random((600, 60)) < 0.2), (random.random((600, 60)) < 0.1)
    else:
        listed = [np.arange(population) < share * population for share in (0.2, 0.1)]
        lost, kept = (np.array([random.permutation(x)[:60] for _ in range(600)]) for x in listed)
    found = score(
        [clause(lost.astype(float), population=population)],
        utility(kept.astype(float), population=population),
        0.1,
    )
    assert binomtest(int((found.upper < 0.15 - 1e-9).sum()), 600, 0.1, "greater").pvalue > 0.01
    assert binomtest(int((found.estimate < 0.15 - 1e-9).sum()), 600, 0.1, "greater").pvalue < 0.01


def test_what_was_not_measured_counts_as_one_and_ranks_last():
    measured = np.array([True, False])
    found = score([clause(counted(3, 0), measured=measured)], utility(counted(9, 0)), 0.05)
    assert np.isnan(found.estimate[1])
    assert found.upper[1] == pytest.approx((1 + upper(0, 0.025)) / 2)
    assert found.ranking == [0, 1]
    drawn = score(
        [clause(counted(3, 0), measured=measured, population=None)],
        utility(counted(9, 0), population=None),
        0.05,
    )
    assert drawn.upper[1] > 0.5
    assert np.isnan(drawn.estimate[1])


def test_an_attack_that_does_not_apply_is_no_promise_and_none_at_all_certifies_nothing():
    here = clause(counted(3, 3))
    elsewhere = clause(counted(0, 80), name="int4", applicable=np.array([True, False]))
    found = score([here, elsewhere], utility(counted(0, 0)), 0.05)
    np.testing.assert_allclose(found.forget, [3 / UNITS, 3 / UNITS])
    for population in (N, None):
        without = score([], utility(counted(0), population=population), 0.05)
        assert np.isnan(without.estimate).all()
        assert without.upper[0] >= 0.5


def test_a_missing_score_counts_as_a_failure():
    losses = counted(3)
    losses[0, -1] = np.nan
    found = score([clause(losses)], utility(counted(0)), 0.05)
    assert found.upper[0] == pytest.approx((upper(4, 0.025) + upper(0, 0.025)) / 2)


def test_equal_estimates_rank_by_their_bound():
    """Both 4.5 of 90 in the mean, once spread over many units: betting tells them apart."""
    spread = np.full((1, UNITS), 0.05)
    lumped = np.zeros((1, UNITS))
    lumped[0, ::18] = 0.9  # five of ninety
    lost = clause(np.vstack([lumped, spread]), binary=False)
    found = score([lost], utility(counted(0, 0)), 0.05)
    assert found.estimate[0] == pytest.approx(found.estimate[1])
    assert found.upper[1] < found.upper[0]
    found.estimate[:] = 0.025  # equal to the last bit
    assert found.ranking == [1, 0]


def test_a_level_is_an_error_probability():
    with pytest.raises(ValueError, match="level must be"):
        score([clause(counted(3))], utility(counted(9)), 1.0)
