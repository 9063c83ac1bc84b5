"""The verdict on a rate, against SciPy and statsmodels."""

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from audit.risk.validation.judging import flags, interval, surprise, too_often


def test_one_cell_of_ten_thousand_is_flagged_from_552_violations_on():
    """Reference: the exact one-sided test of a rate of 5 % at 1 % evidence."""
    assert not too_often(551, 10_000, 0.05)
    assert too_often(552, 10_000, 0.05)


def test_a_hundred_cells_are_flagged_from_584_violations_on():
    assert not too_often(583, 10_000, 0.05, evidence=0.01 / 100)
    assert too_often(584, 10_000, 0.05, evidence=0.01 / 100)


@pytest.mark.parametrize(("count", "replications"), [(0, 50), (3, 50), (50, 50), (552, 10_000)])
def test_test_and_interval_are_those_of_scipy(count, replications):
    oracle = binomtest(count, replications, 0.05, alternative="greater")
    assert surprise(count, replications, 0.05) == pytest.approx(oracle.pvalue)
    both = binomtest(count, replications).proportion_ci(0.95, method="exact")
    assert interval(count, replications) == pytest.approx((both.low, both.high))


def test_a_promise_never_to_fail_is_broken_by_one_violation_and_kept_by_none():
    assert surprise(0, 1000, 0.0) == 1
    assert surprise(1, 1000, 0.0) == 0


def test_over_a_study_cells_are_flagged_as_holm_would():
    random = np.random.default_rng(0)
    for _ in range(10):
        p_values = random.random(30) ** 6
        assert flags(p_values).tolist() == multipletests(p_values, 0.01, "holm")[0].tolist()


def test_more_violations_than_replications_are_refused():
    with pytest.raises(ValueError, match="11 violations in 10"):
        surprise(11, 10, 0.05)
