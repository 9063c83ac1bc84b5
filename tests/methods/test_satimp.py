"""Token 1 of the toy has p = 1/2, token 2 p = 1/4."""

from __future__ import annotations

import math

import pytest

from audit.methods.base import METHODS
from audit.methods.compose import parse_recipe


def test_each_token_weighs_saturation_times_importance(forget):
    """Powers 2 and 1: -(1/4 1/2 ln 2 + 1/16 3/4 ln 4) / 2 = -7/64 ln 2."""
    assert forget("satimp(saturation=2, importance=1)") == pytest.approx(-7 / 64 * math.log(2))


def test_the_published_powers(forget):
    """5 and 1: -(1/32 1/2 ln 2 + 1/1024 3/4 ln 4) / 2 = -35/4096 ln 2."""
    assert forget("satimp") == pytest.approx(-35 / 4096 * math.log(2))


def test_powers_of_zero_are_gradient_ascent_and_importance_zero_is_wga(forget):
    assert forget("satimp(saturation=0, importance=0)") == pytest.approx(forget("ga"))
    assert forget("satimp(saturation=2, importance=0)") == pytest.approx(forget("wga(beta=2)"))


def test_the_default_weights_are_the_authors_not_the_configurations_of_open_unlearning():
    budget = parse_recipe("satimp").budget
    assert (budget.forget_weight, budget.retain_weight) == (1.0, 0.1)


def test_negative_powers_are_refused():
    for powers in ({"saturation": -1.0}, {"importance": -1.0}):
        with pytest.raises(ValueError, match="powers"):
            METHODS["satimp"](**powers)
