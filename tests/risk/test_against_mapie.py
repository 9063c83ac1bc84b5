"""Against MAPIE 1.6 on the same matrices: equal where both are right, and its defects shown where they are not.

MAPIE has no entry for a loss matrix. Units under each attack become pseudo-samples (unit, attack), each attack a
BinaryRisk of its own, so that its largest p-value over risks is ours over attacks.
"""

import warnings

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController, BinaryRisk, control_fwer
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value, get_r_hat_plus
from scipy.stats import binom, binomtest

from audit.risk.bounds.base import Sample, build
from audit.risk.model import ConformalRiskModel
from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.table import Clause, LossTable

ALPHA, DELTA = 0.1, 0.05


def mapie_on(losses, fwer="bonferroni_holm"):
    """MAPIE calibrated on losses (attacks, configurations, units); NaN is a unit without a score."""
    attacks, configurations, units = losses.shape
    risks = [
        BinaryRisk(lambda y, p: p == 1, lambda y, p, a=a: (y == a) & ~np.isnan(p), False)
        for a in range(attacks)
    ]
    made = BinaryClassificationController(
        predict_function=lambda samples, row: losses[samples[:, 0], int(row), samples[:, 1]],
        risk=risks,
        target_level=[ALPHA] * attacks,
        confidence_level=1 - DELTA,
        best_predict_param_choice=risks[0],
        list_predict_params=np.arange(configurations)[:, None],
        fwer_method=fwer,
    )
    samples = np.array([(a, u) for a in range(attacks) for u in range(units)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where nothing is valid
        made.calibrate(samples, samples[:, 0])
    valid = np.isin(np.arange(configurations), np.asarray(made.valid_predict_params, dtype=float))
    return made.p_values[:, 0], valid


def ours_on(losses, family="holm", measured=None):
    """Our model on the same attacks; utility, which MAPIE is not told about, is a clause without harm."""
    rows, units = losses.shape[1:]
    clauses = [
        Clause(f"attack {a}", "forget", part, None, binary=True, measured=measured)
        for a, part in enumerate(losses)
    ]
    clauses.append(Clause("utility", "utility", np.zeros((rows, units)), None, binary=True))
    names = tuple(f"c{row}" for row in range(rows))
    model = ConformalRiskModel(ALPHA, ALPHA, DELTA, family).fit(LossTable(names, tuple(clauses), rows))
    return model.p_forget_, model.valid_


def drawn(seed, units, attacks=3, rows=20):
    risks = np.linspace(0.01, 0.2, rows)[None, :, None]
    return (np.random.default_rng(seed).random((attacks, rows, units)) < risks).astype(float)


def by_count(units):
    """One attack, one row for every number of failures."""
    return (np.arange(units) < np.arange(units + 1)[:, None]).astype(float)[None]


@pytest.mark.parametrize("family", [("bonferroni", "bonferroni"), ("holm", "bonferroni_holm")])
@pytest.mark.parametrize("seed", range(6))
def test_p_values_and_valid_sets_are_equal_where_its_rounding_is_harmless(seed, family):
    """Of 128 units every share of failures is an exact double."""
    losses = drawn(seed, 128)
    p_values, valid = ours_on(losses, family[0])
    theirs, their_valid = mapie_on(losses, family[1])
    np.testing.assert_allclose(p_values, theirs, rtol=1e-10)
    assert valid.tolist() == their_valid.tolist()
    assert valid.any()


@pytest.mark.parametrize("units", [100, 200])
def test_p_values_differ_only_where_it_counts_a_failure_too_many(units):
    """It takes ceil(n (k / n)) in floating point; for some k that is k + 1, and it tests as if one more failed."""
    counts = np.arange(units + 1)
    p_values, _ = ours_on(by_count(units))
    theirs, _ = mapie_on(by_count(units))
    rounded = np.ceil(units * (counts / units)).astype(int)
    np.testing.assert_allclose(p_values, binom.cdf(counts, units, ALPHA), rtol=1e-10)
    np.testing.assert_allclose(
        np.minimum(theirs, 1), np.minimum(hoeffding(rounded, counts, units), 1), rtol=1e-9
    )
    assert (p_values <= theirs + 1e-12).all()
    assert (rounded > counts).any()


def hoeffding(rounded, counts, units):
    """The smaller of its two tails: exact binomial at the rounded count, Chernoff's at the unrounded mean."""
    mean = np.minimum(counts / units, ALPHA)
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.where(mean > 0, mean * np.log(mean / ALPHA), 0.0)
    chernoff = np.exp(-units * (known + (1 - mean) * np.log((1 - mean) / (1 - ALPHA))))
    return np.minimum(binom.cdf(rounded, units, ALPHA), chernoff)


def test_28_failures_of_200_are_28_here_and_29_there():
    losses = by_count(200)[:, 28:29]
    assert ours_on(losses)[0][0] == pytest.approx(binom.cdf(28, 200, ALPHA), rel=1e-12)
    assert mapie_on(losses)[0][0] == pytest.approx(binom.cdf(29, 200, ALPHA), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_with_holm_we_list_whatever_it_lists_at_any_number_of_units(seed):
    losses = drawn(seed, 200)
    valid, theirs = ours_on(losses)[1], mapie_on(losses)[1]
    assert (valid >= theirs).all()


def test_a_configuration_without_scores_empties_its_valid_set_and_not_ours():
    """Its p-value is NaN there, which its Holm picks as the smallest and stops at."""
    losses = drawn(0, 200)
    unmeasured = np.arange(20) == 7
    losses[:, unmeasured] = np.nan
    theirs, their_valid = mapie_on(losses)
    p_values, valid = ours_on(losses, measured=~unmeasured)
    assert np.isnan(theirs[7])
    assert not their_valid.any()
    assert p_values[7] == 1
    assert valid.any()
    assert not valid[7]
    assert mapie_on(losses, "bonferroni")[1].any()  # so it is Holm's loop and not the data


def test_an_undefined_p_value_is_1_here_and_ends_everything_there():
    p_values = np.array([1e-6, np.nan, 1e-6])
    assert control_fwer(p_values, DELTA, fwer_method="bonferroni_holm").tolist() == []
    assert PROCEDURES.build("holm").reject(p_values, DELTA, 3).tolist() == [True, False, True]


def test_holm_agrees_with_its_holm_on_p_values_without_gaps():
    random = np.random.default_rng(0)
    for _ in range(50):
        p_values = random.beta(0.3, 5, 12)
        theirs = np.isin(np.arange(12), control_fwer(p_values, DELTA, fwer_method="bonferroni_holm"))
        assert PROCEDURES.build("holm").reject(p_values, DELTA, 12).tolist() == theirs.tolist()


def test_several_attacks_in_a_given_order_are_refused_there_and_walked_here():
    losses = drawn(1, 200)
    with pytest.raises(ValueError, match="cannot be used with multiple risks"):
        mapie_on(losses, "fixed_sequence")
    p_values, _ = ours_on(losses)
    walked = PROCEDURES.build("fixed_sequence").reject(p_values, DELTA, 20, range(20))
    assert walked.sum() > mapie_on(losses)[1].sum()


def test_our_hoeffding_bentkus_is_its_p_value_for_graded_losses():
    random, bound = np.random.default_rng(0), build("hoeffding_bentkus", DELTA)
    for units in (20, 57, 200):
        losses = random.beta(0.9, 17.1, (30, units))
        theirs = compute_hoeffding_bentkus_p_value(losses.mean(axis=1), units, ALPHA)[:, 0]
        p_values = [bound.p_value(Sample(row), ALPHA) for row in losses]
        np.testing.assert_allclose(p_values, np.minimum(theirs, 1), rtol=1e-9)


def test_its_betting_bound_misses_more_often_than_promised_and_ours_does_not():
    """It adds the maxima of two half-samples, which Ville's inequality does not allow; nominal 10 %."""
    random, samples, delta = np.random.default_rng(0), 1000, 0.1
    losses = (random.random((50, samples)) < 0.1).astype(float)
    theirs = np.concatenate(
        [
            get_r_hat_plus(part, np.linspace(0, 1, 200), "rcps", "wsr", delta, 0.25)[1]
            for part in np.split(losses, samples // 200, axis=1)
        ]
    )
    bound = build("betting", delta)
    missed = sum(bound.upper(Sample(column), delta) < 0.1 for column in losses.T)
    assert binomtest(int((theirs < 0.1).sum()), samples, delta, "greater").pvalue < 1e-6
    assert binomtest(missed, samples, delta, "greater").pvalue > 0.01
