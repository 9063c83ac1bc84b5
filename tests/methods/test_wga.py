"""Token 1 of the toy has p = 1/2, token 2 p = 1/4."""

from __future__ import annotations

import math

import pytest

from audit.methods.base import METHODS


def test_each_token_weighs_its_probability_to_the_power_beta(forget):
    """Beta 1: -(ln 2 / 2 + ln 4 / 4) / 2 = -ln 2 / 2. Beta 2: -(ln 2 / 4 + ln 4 / 16) / 2 = -3/16 ln 2."""
    assert forget("wga") == pytest.approx(-math.log(2) / 2)
    assert forget("wga(beta=2)") == pytest.approx(-3 / 16 * math.log(2))


def test_power_zero_is_gradient_ascent(forget):
    assert forget("wga(beta=0)") == pytest.approx(forget("ga"))


def test_at_beta_one_the_slope_is_that_of_the_mean_probability(toy, batch):
    """Dp/dz_y = p (1 - p): 1/4 and 3/16 at the two tokens, halved by the mean."""
    logits = toy.logits["answer"].requires_grad_(True)
    METHODS.build("wga").forget_term(toy, batch).backward()
    assert logits.grad[[0, 1], [0, 1]].tolist() == pytest.approx([1 / 8, 3 / 32])


def test_a_forgotten_token_is_left_alone(toy, batch):
    """At p = e^-30 gradient ascent still pulls with 1/2, WGA with e^-30 / 2."""
    toy.logits["answer"][0, 0] = -28.0  # the others sum to e^3 / 2 < e^2.4
    logits = toy.logits["answer"].requires_grad_(True)
    METHODS.build("wga").forget_term(toy, batch).backward()
    assert 0 < abs(logits.grad[0, 0].item()) < math.exp(-29)


def test_a_negative_power_is_refused():
    with pytest.raises(ValueError, match="beta"):
        METHODS["wga"](beta=-0.5)
