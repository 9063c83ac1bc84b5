"""The risk landscape: a smooth curve is found again, bands hold new configurations, nothing is made of too little."""

import numpy as np
import pytest
from sklearn.base import clone

from audit.risk.froc import Weights
from audit.risk.landscape import RiskLandscape, variance_stable
from audit.risk.suggest import APART, suggest

NAN = np.nan


def rates(rate, parameters):
    return 1 / (1 + (parameters / rate) ** 2)


def losses(random, risks, units=30):
    """0/1 losses of some units, in random places."""
    return (random.random((len(risks), units)) < np.asarray(risks)[:, None]).astype(float)


def column(*values):
    return np.array(values, dtype=float)[:, None]


def exactly(*risks, units=1000):
    """Losses of many units whose mean is the risk."""
    return np.array([np.repeat([1.0, 0.0], [round(r * units), units - round(r * units)]) for r in risks])


def test_it_keeps_scikit_learns_conventions():
    model = RiskLandscape(level=0.9, seed=3)
    assert clone(model).get_params() == {"level": 0.9, "restarts": 2, "seed": 3} == model.get_params()
    assert model.set_params(level=0.5) is model
    with pytest.raises(ValueError, match="levle"):
        model.set_params(levle=1)
    before = model.get_params()
    assert model.fit(column(1, 2, 4), exactly(0.1, 0.2, 0.3)) is model
    assert model.get_params() == before


def test_the_arcsine_scale_gives_every_share_of_n_units_the_same_variance():
    """0 of 9 and 9 of 9, with half a unit added on each side: means 1/20 and 19/20, variance 1 / (4 * 10)."""
    angles, variance = variance_stable(np.array([[0.0] * 9, [1.0] * 9, [1.0] * 4 + [0.0] * 5]))
    np.testing.assert_allclose(np.sin(angles) ** 2, [0.05, 0.95, 0.45])
    np.testing.assert_allclose(variance, 1 / 40)


def test_graded_losses_bring_the_noise_of_their_own_units():
    """Nine losses of 0.5: mean 1/2, mean square (9/4 + 1/2) / 10, so variance (0.275 - 0.25) / (4 * 10 / 4)."""
    angles, variance = variance_stable(np.array([[0.5] * 9, [NAN] + [0.0] * 8]))
    assert angles[0] == pytest.approx(np.pi / 4)
    assert variance[0] == pytest.approx(0.0025)
    assert np.sin(angles[1]) ** 2 == pytest.approx(0.15)  # the missing score counted as 1


def test_a_smooth_curve_is_found_again_between_the_configurations():
    """On the angle's scale the truth is 0.3 + 0.25 log(x): 9 measured points, 8 between them asked."""
    truth = lambda x: np.sin(0.3 + 0.25 * np.log(x)) ** 2  # noqa: E731
    tried, between = np.geomspace(1, 30, 9), np.geomspace(1.2, 25, 8)
    model = RiskLandscape().fit(tried[:, None], exactly(*truth(tried)))
    assert np.abs(model.predict(between[:, None]) - truth(between)).max() < 0.01
    assert np.all(np.diff(model.predict(between[:, None])) > 0)


def test_the_scale_of_a_parameter_does_not_matter():
    x, y = column(1e-5, 3e-5, 1e-4, 1e-3), exactly(0.9, 0.6, 0.3, 0.1)
    here = RiskLandscape().fit(x, y).predict_interval(x * 0.99 + 1e-7)
    there = RiskLandscape().fit(1e6 * x, y).predict_interval(1e6 * (x * 0.99 + 1e-7))
    np.testing.assert_allclose(here, there, rtol=1e-4)


def test_a_band_encloses_its_risk_and_narrows_with_more_units():
    random, tried = np.random.default_rng(0), np.geomspace(1, 10, 8)
    widths = []
    for units in (10, 1000):
        model = RiskLandscape().fit(tried[:, None], losses(random, rates(3, tried), units))
        risk, low, high = model.predict_interval(column(2.0, 5.0)).T
        assert ((low >= 0) & (low < risk) & (risk < high) & (high <= 1)).all()
        widths.append(float((high - low).max()))
    assert widths[1] < widths[0] / 2


def test_left_out_configurations_are_reported_and_one_odd_one_widens_all_bands():
    tried, risks = np.geomspace(1, 10, 8), np.full(8, 0.2)
    smooth = RiskLandscape().fit(tried[:, None], exactly(*risks, units=100))
    risks[3] = 0.9
    odd = RiskLandscape().fit(tried[:, None], exactly(*risks, units=100))
    assert smooth.held_out_.all()
    assert smooth.factor_ == 1.0
    assert smooth.coverage_ == 1.0
    assert not odd.held_out_[3]
    assert odd.coverage_ == odd.held_out_.mean() < 1

    def width(model):
        return np.ptp(model.predict_interval(column(8.0))[0, 1:])

    assert width(odd) > 2 * width(smooth)


def test_few_configurations_support_only_a_modest_level():
    """Of C + 1 equally likely ranks at most C are inside: 3/4 with three configurations."""
    assert RiskLandscape(level=0.9).fit(column(1, 2, 4), exactly(0.1, 0.2, 0.3)).level_ == 0.75
    assert RiskLandscape(level=0.7).fit(column(1, 2, 4), exactly(0.1, 0.2, 0.3)).level_ == 0.7


@pytest.mark.parametrize(
    ("parameters", "found", "reason"),
    [
        (column(1, 2), exactly(0.1, 0.2), "2 configurations, a landscape needs at least 3"),
        (column(1, 2, 3), np.zeros((3, 0)), "no tune unit"),
        (column(0, 1, 2), exactly(0.1, 0.2, 0.3), "logarithm"),
        (column(1, 1, 1), exactly(0.1, 0.2, 0.3), "two values"),
        (np.zeros((3, 0)), exactly(0.1, 0.2, 0.3), "two values"),
        (column(1, 2, 3), exactly(0.1, 0.2), "expected"),
        (column(1, 2, 3), np.full((3, 4), 1.5), "in \\[0, 1\\]"),
    ],
)
def test_too_little_is_refused_with_the_reason(parameters, found, reason):
    with pytest.raises(ValueError, match=reason):
        RiskLandscape().fit(parameters, found)


def test_bands_hold_configurations_that_were_not_fitted():
    """25 smooth sweeps of 6 with training noise; a new one each. A true rate of half would be noticed."""
    assert covered(6, sweeps=25) >= 15  # binomial(25, 0.8): below with probability 0.006


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 4, 8])
def test_bands_hold_configurations_at_their_level(count):
    """300 sweeps: fewer than 72 % at a true 80 % has probability 0.0005 (66 % at 75 % for three)."""
    assert covered(count, sweeps=300) >= 300 * (0.66 if count == 3 else 0.72)


def covered(count, sweeps):
    """How many new configurations inside the explored range lie in their band."""
    random, inside = np.random.default_rng(4), 0
    for _ in range(sweeps):
        tried = np.exp(random.uniform(0, np.log(10), count + 1))
        tried[:2] = 1, 10
        angles = np.arcsin(np.sqrt(rates(random.uniform(1, 10), tried))) + random.normal(0, 0.05, count + 1)
        true = np.sin(np.clip(angles, 0, np.pi / 2)) ** 2
        model = RiskLandscape(restarts=0).fit(tried[:-1, None], losses(random, true[:-1]))
        _, low, high = model.predict_interval(tried[-1:, None])[0]
        inside += low <= true[-1] <= high
    return inside


# -- suggestions ---------------------------------


@pytest.fixture(scope="module")
def pair():
    """Forgetting risk falls and harm rises along x; the sum is smallest where they cross, near 10."""
    tried = column(1, 3, 30, 100)
    falls, rises = rates(10, tried[:, 0]), 1 - rates(10, tried[:, 0])
    falls, rises = falls**2, rises**2  # convex, so that the middle is better than both ends
    return tried, RiskLandscape().fit(tried, exactly(*falls)), RiskLandscape().fit(tried, exactly(*rises))


def test_the_first_suggestion_lies_where_both_risks_are_expected_to_be_small(pair):
    tried, forget, utility = pair
    first = suggest(forget, utility, tried, count=1)[0]
    assert 5 < first.parameters[0] < 20
    assert first.score == pytest.approx((first.forget[0] + first.utility[0]) / 2)
    np.testing.assert_allclose(forget.predict_interval(column(*first.parameters))[0], first.forget)


def test_weights_move_it(pair):
    tried, forget, utility = pair
    gentle, thorough = (
        suggest(forget, utility, tried, weights=weights, count=1)[0].parameters[0]
        for weights in (Weights(0.1, 0.9), Weights(0.9, 0.1))
    )
    assert gentle < thorough


def test_suggestions_stay_in_the_box_and_away_from_what_was_tried_and_from_each_other(pair):
    tried, forget, utility = pair
    found = [s.parameters[0] for s in suggest(forget, utility, tried, count=4)]
    assert found
    assert all(1 <= value <= 100 for value in found)
    places = np.log([*found, *tried[:, 0]]) / np.log(100)
    apart = np.abs(places[:, None] - places)[: len(found)]
    assert np.sort(apart, axis=1)[:, 1].min() >= APART
    assert found == [s.parameters[0] for s in suggest(forget, utility, tried, count=4)]


def test_they_are_written_with_two_digits_and_counts_are_whole(pair):
    tried, forget, utility = pair
    for found in suggest(forget, utility, tried, count=4):
        assert found.parameters[0] == float(f"{found.parameters[0]:.2g}")
    whole = suggest(forget, utility, tried, whole=(True,), count=4)
    assert all(s.parameters[0] == int(s.parameters[0]) for s in whole)
