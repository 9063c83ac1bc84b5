"""Token 1 is (3, 4, 0) now and at the start, token 2 (0, 0, 4) and (0, 0, 1). Direction: (.6, .8, 0)."""

from __future__ import annotations

import math

import pytest
import torch

from audit.methods.base import METHODS


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_the_forget_term_is_the_sigmoid_of_the_cosine_with_the_tilted_start(forget, activations):
    """Tilt 1: token 1 stays parallel, cos 1; token 2 is compared with (.6, .8, 1), cos 1 / sqrt 2."""
    expected = (sigmoid(3) + sigmoid(3 / math.sqrt(2))) / 2
    assert forget("kuda(inverse_temperature=3, tilt=1)", activations) == pytest.approx(expected)


def test_the_retain_term_is_one_minus_the_cosine_with_the_start(retain, activations):
    """Token 2 turned to (0, 3, 4): cos 4/5. Mean of 0 and 1/5."""
    activations.now[0, 1] = torch.tensor([0.0, 3.0, 4.0])
    assert retain("kuda", activations) == pytest.approx(1 / 10, abs=1e-6)


def test_the_tilt_gives_a_slope_where_the_cosine_has_none(activations, batch):
    """Without a tilt nothing would ever move away from the start."""

    def slope(tilt):
        activations.now = activations.reference_hidden(None, 0).requires_grad_(True)
        METHODS["kuda"](tilt=tilt).forget_term(activations, batch).backward()
        return activations.now.grad[0, 1]

    assert slope(1e-9).abs().max() < 1e-6
    assert (slope(0.1)[:2] > 0).all()  # descent goes against the direction of the tilt


@pytest.mark.parametrize("wrong", [{"inverse_temperature": 0.0}, {"tilt": 0.0}, {"layer": 1.0}])
def test_parameters_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        METHODS["kuda"](**wrong)
