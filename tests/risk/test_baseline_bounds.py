"""Hoeffding, Hoeffding-Bentkus and the mixture against their formulas and known values."""

from math import e, exp, log, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom

from audit.core.errors import AuditError
from audit.risk.bounds.base import BOUNDS, Sample, build
from audit.risk.bounds.mixture import Mixture

HB = build("hoeffding_bentkus", 0.05)


@pytest.mark.parametrize(("n", "expected"), [(50, 0.0450), (100, 0.0228), (400, 0.0057)])
def test_at_mean_zero_hoeffding_bentkus_is_the_closed_form(n, expected):
    """1 - delta^(1/n) at delta = 0.1; a root finder that meets 0 log 0 returns its starting value instead."""
    assert HB.upper(Sample(np.zeros(n)), 0.1) == pytest.approx(1 - 0.1 ** (1 / n), abs=1e-9)
    assert HB.upper(Sample(np.zeros(n)), 0.1) == pytest.approx(expected, abs=5e-5)


@given(losses=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_hoeffding_bentkus_inverts_the_smaller_of_its_two_tails(losses):
    n, total = len(losses), sum(losses)
    mean, delta = total / n, 0.05
    if mean in (0.0, 1.0):
        return

    def tails(risk):
        divergence = mean * log(mean / risk) + (1 - mean) * log((1 - mean) / (1 - risk))
        return min(exp(-n * divergence), e * binom.cdf(np.ceil(total), n, risk))

    upper = HB.upper(Sample(np.array(losses)), delta)
    if tails(1 - 1e-9) > delta:
        assert upper > 1 - 1e-6
    else:
        assert upper == pytest.approx(brentq(lambda risk: tails(risk) - delta, mean, 1 - 1e-9), abs=1e-6)


def test_bentkus_counts_whole_failures():
    """e P(Bin(200, .1) <= 14) = .253; the 15 of a float ceiling would give .389, and Hoeffding's is .331."""
    sample = Sample(np.repeat([1.0, 0.0], [14, 186]))
    chernoff = exp(-200 * (0.07 * log(0.7) + 0.93 * log(0.93 / 0.9)))
    assert HB.p_value(sample, 0.1) == pytest.approx(min(e * binom.cdf(14, 200, 0.1), chernoff), rel=1e-9)


def test_hoeffding_is_the_formula_of_theorem_2():
    sample = Sample(np.repeat([0.5, 0.0], [10, 90]))
    bound = build("hoeffding", 0.05)
    assert bound.upper(sample, 0.05) == pytest.approx(0.05 + np.sqrt(np.log(20) / 200), rel=1e-12)
    assert bound.p_value(sample, 0.1) == pytest.approx(exp(-200 * 0.05**2), rel=1e-12)


@given(losses=st.lists(st.sampled_from([0.0, 0.3, 1.0]), max_size=20), mean=st.sampled_from([0.1, 0.5]))
@settings(max_examples=40, deadline=None)
def test_the_mixture_is_the_average_of_constant_bets(losses, mean):
    grid = [(g + 0.5) / 20 for g in range(20)]
    e_value = np.mean([prod(1 + g * (mean - loss) for loss in losses) for g in grid])
    assert build("mixture", 0.05).p_value(Sample(np.array(losses)), mean) == pytest.approx(
        min(1, 1 / e_value), rel=1e-9
    )


def test_a_mixture_needs_a_bet():
    with pytest.raises(ValueError, match="bets=0"):
        Mixture(bets=0)


def test_an_unknown_bound_is_an_error_with_a_hint():
    with pytest.raises(AuditError, match="did you mean 'hypergeometric'"):
        BOUNDS["hypergeometrical"]
