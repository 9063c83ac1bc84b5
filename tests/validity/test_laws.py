"""The populations of the study have the risks they are said to have; the study is only as true as they are."""

import numpy as np
import pytest

from audit.core.seeds import generator
from audit.risk.validation.coverage import Setting, drawn
from audit.risk.validation.families import ALPHA, GOOD, Family
from audit.risk.validation.laws import DEPENDENCE, LAWS, dependent_scores, of_uniform, uniforms_of
from audit.risk.validation.parts.clusters import Subjects

MANY = 200_000


def close(mean, truth, spread=0.5, size=MANY):
    """Five standard errors: one in 1.7 million."""
    return mean == pytest.approx(truth, abs=5 * spread / np.sqrt(size))


@pytest.mark.parametrize("law", list(LAWS))
@pytest.mark.parametrize("risk", [0.02, 0.1, 0.2])
def test_a_law_has_its_mean_and_stays_within_0_and_1(law, risk):
    losses = LAWS[law](generator(0, law), risk, MANY)
    assert close(losses.mean(), risk, losses.std())
    assert losses.min() >= 0
    assert losses.max() <= 1


def test_leak_at_2_of_4_takes_the_four_values_that_two_of_four_samples_can_give():
    """1 - C(4-c, 2)/C(4, 2) for c = 0..4: 0, 1/2, 5/6, 1, 1."""
    losses = LAWS["leak at 2 of 4"](generator(0, "leak"), 0.2, 10_000)
    np.testing.assert_allclose(np.unique(losses.round(9)), [0, 1 / 2, 5 / 6, 1], atol=1e-8)


@pytest.mark.parametrize("law", ["bernoulli", "0 and 1/2", "zero-inflated"])
def test_losses_rise_with_their_uniform_and_keep_their_mean(law):
    uniforms = (np.arange(MANY) + 0.5) / MANY
    losses = of_uniform(law, uniforms, 0.1)
    assert np.all(np.diff(losses) >= 0)
    assert losses.mean() == pytest.approx(0.1, abs=1e-4)
    assert not of_uniform(law, uniforms, 0.0).any()


@pytest.mark.parametrize(("dependence", "correlation"), list(DEPENDENCE.items()))
def test_configurations_share_as_much_as_is_said(dependence, correlation):
    scores = dependent_scores(generator(0, "scores"), dependence, (2, 1, MANY))
    assert scores.std() == pytest.approx(1, abs=0.01)
    assert np.corrcoef(scores[:, 0])[0, 1] == pytest.approx(correlation, abs=0.02)
    assert uniforms_of(scores).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("design", ["draws", "list", "random list"])
def test_the_mean_of_all_samples_is_the_truth_of_the_setting(design):
    setting = Setting(design, "0 and 1/2", n=30, population=60)
    losses = setting.draw(generator(0, "setting", design), 20_000)
    assert close(losses.mean(), setting.truth, 0.3, losses.size / 30)


def test_a_list_of_0_1_losses_has_exactly_its_share_of_failures():
    assert Setting("list", "bernoulli", population=120).listed().sum() == 12


def test_units_are_drawn_without_replacement_in_random_order():
    """Each of 6 units stands first in a sixth of the draws, and no unit comes twice."""
    order = drawn(generator(0, "order"), 30_000, 4, 6)
    assert order.shape == (30_000, 4)
    assert np.all(np.diff(np.sort(order, axis=1), axis=1) > 0)
    for place in range(4):
        np.testing.assert_allclose(np.bincount(order[:, place]) / 30_000, 1 / 6, atol=0.012)


@pytest.mark.parametrize("broken", ["one clause", "one attack", "every clause"])
@pytest.mark.parametrize("population", [None, 200])
@pytest.mark.parametrize("losses", ["0/1", "graded"])
def test_a_family_has_the_risks_it_is_said_to_have(losses, population, broken):
    """GOOD * 200 = 4 and ALPHA * 200 = 20 are whole numbers, so a list has them exactly."""
    family = Family(losses, nulls=2, size=4, attacks=2, n=50, population=population, broken=broken)
    worst = family.risks.max(axis=1)
    assert worst.tolist() == [ALPHA, ALPHA, GOOD, GOOD]
    assert family.violating.tolist() == [True, True, False, False]
    found = family.draw(generator(0, "family"), 4_000).mean(axis=(0, 3))
    np.testing.assert_allclose(found, family.risks, atol=0.006)
    if population:
        exact = family.listed().mean(axis=2)
        np.testing.assert_allclose(exact, family.risks, atol=1e-12 if losses == "0/1" else 2e-3)


@pytest.mark.parametrize("population", [None, 200])
def test_failures_are_those_of_the_losses(population):
    """Counted by matrix product or by comparison, they have the mean n times risk."""
    family = Family(nulls=2, size=4, attacks=2, n=50, population=population)
    failures = family.failures(generator(0, "failures"), 4_000)
    np.testing.assert_allclose(failures.mean(axis=0), 50 * family.risks, atol=0.25)


def test_sealed_units_are_others_than_the_calibrated_ones():
    """All 200 units of a list opened in two groups: the counts add up to the list's failures."""
    family = Family(nulls=2, size=4, attacks=2, n=50, population=200)
    first, second = family.failures(generator(0, "two groups"), 100, 50, 150)
    assert ((first + second) == np.rint(200 * family.risks)).all()


def test_orders_come_from_other_units_and_put_good_configurations_first_more_often_than_not():
    family = Family(nulls=5)
    orders = family.orders(generator(0, "orders"), 500)
    assert np.all(np.sort(orders, axis=1) == np.arange(10))
    assert (orders[:, 0] >= 5).mean() > 0.7


@pytest.mark.parametrize("correlation", [0.0, 0.2, 0.5])
def test_answers_about_one_subject_correlate_as_stated(correlation):
    """Variance of a mean of q answers: r (1 - r) (1 + (q - 1) ICC) / q."""
    subjects = Subjects(1, 8, correlation)
    leaks = subjects.draw(generator(0, "subjects", correlation), MANY)[:, 0]
    means = leaks.mean(axis=1)
    assert close(means.mean(), 0.1, means.std())
    assert means.var() == pytest.approx(0.09 * (1 + 7 * correlation) / 8, rel=0.03)
    assert close(leaks.any(axis=1).mean(), subjects.some)
