"""FROC's scores and margins, each expected value worked out by hand from arXiv:2512.13337."""

from math import e, exp, log, log1p

import numpy as np
import pytest

from audit.risk import froc
from audit.risk.froc import Weights

NAN = np.nan
CEILING = 5 - log(2)  # length of the margin's scale at the default ceiling


def softplus(z):
    return log1p(exp(z))


def test_the_forgetting_score_rises_with_loss_and_with_lost_accuracy():
    """s = log loss + max accuracy - accuracy: 0 + 0 and 1 + 0.3."""
    np.testing.assert_allclose(froc.forgetting_score(np.array([1.0, e]), np.array([0.5, 0.2])), [0, 1.3])


def test_the_utility_score_is_zero_for_a_configuration_that_is_best_at_both():
    """r = log(loss / min loss) + max accuracy - accuracy: 0 and log 2 + 0.2."""
    np.testing.assert_allclose(
        froc.utility_score(np.array([0.5, 1.0]), np.array([0.9, 0.7])), [0, log(2) + 0.2]
    )


def test_e_r_is_the_weighted_sum_of_both_soft_margins():
    found = froc.published_risk(np.array([0.0, 1.3]), np.array([0.0, 0.2]), 1.0, Weights(0.25, 0.75))
    expected = [0.25 * softplus(1.0) + 0.75 * log(2), 0.25 * softplus(-0.3) + 0.75 * softplus(0.2)]
    np.testing.assert_allclose(found, expected)


def test_published_scores_depend_on_the_company_a_configuration_keeps():
    """A third configuration with accuracy 0.8 raises everybody's s by 0.3."""
    alone = froc.forgetting_score(np.array([1.0, 2.0]), np.array([0.5, 0.4]))
    joined = froc.forgetting_score(np.array([1.0, 2.0, 1.0]), np.array([0.5, 0.4, 0.8]))
    np.testing.assert_allclose(joined[:2], alone + 0.3)


def test_a_configuration_that_was_not_measured_has_no_score_and_sets_no_maximum():
    loss, accuracy = np.array([1.0, 2.0, NAN]), np.array([0.5, NAN, 0.9])
    np.testing.assert_allclose(froc.forgetting_score(loss, accuracy), [0, NAN, NAN])
    np.testing.assert_allclose(froc.utility_score(loss, accuracy), [0, NAN, NAN])
    risk = froc.published_risk(np.array([0.0, NAN]), np.array([NAN, 0.0]), 1.0)
    assert np.isnan(risk).all()


def test_a_loss_without_a_logarithm_is_refused():
    with pytest.raises(ValueError, match="loss > 0"):
        froc.forgetting_score(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="shape"):
        froc.utility_score(np.array([1.0]), np.array([1.0, 0.0]))


def test_the_utility_margin_is_zero_at_the_original_or_better_and_grows_below_it():
    """Original: s = 1 - 1 = 0. Rows: itself; better; s = 3 - 0.5 = 2.5; far beyond the ceiling; no score."""
    nll = np.array([[1.0], [0.5], [3.0], [50.0], [NAN]])
    accuracy = np.array([[1.0], [1.0], [0.5], [0.0], [0.0]])
    found = froc.utility_margin(nll, accuracy, np.ones((5, 1)), np.ones((5, 1)))
    np.testing.assert_allclose(found, [0, 0, (softplus(2.5) - log(2)) / CEILING, 1, NAN], atol=1e-12)


def test_the_utility_margin_averages_a_units_probes_before_it_compares():
    """Mean nll 2, mean accuracy 0.5 against 1 and 1: s - s_ref = 1.5; the padded probe is not asked."""
    nll, accuracy = np.array([[1.0, 3.0, NAN]]), np.array([[1.0, 0.0, NAN]])
    asked = np.array([[True, True, False]])
    found = froc.utility_margin(nll, accuracy, np.ones((1, 3)), np.ones((1, 3)), asked)
    np.testing.assert_allclose(found, [(softplus(1.5) - log(2)) / CEILING])


@pytest.mark.parametrize("weights", [(0.5, 0.6), (-0.1, 1.1), (NAN, 1.0)])
def test_weights_are_shares_of_one(weights):
    with pytest.raises(ValueError, match="sum to 1"):
        Weights(*weights)
