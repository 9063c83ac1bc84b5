from __future__ import annotations

import importlib

import pytest
import torch

from audit.methods.base import METHODS

srmu = importlib.import_module("audit.methods.objectives.srmu")
direction = srmu.direction


def test_importance_is_the_log_of_one_plus_the_ratio_over_its_maximum():
    """Ratios 1, 3, 0: ln 2, 2 ln 2, 0 over 2 ln 2."""
    found = srmu.importance(torch.tensor([1.0, 3.0, 0.0]), torch.ones(3))
    assert found.tolist() == pytest.approx([1 / 2, 1, 0], abs=1e-5)


def test_means_are_of_absolute_values_over_real_tokens(activations):
    """(3, 4, 0) and (0, 0, 1); the third is padding."""
    assert srmu.mean_activation(activations, [None], 0).tolist() == pytest.approx([1.5, 2, 0.5])


def test_the_term_is_the_distance_to_the_target_on_real_tokens(activations, forget):
    """5 (.6, .8, 0) = (3, 4, 0): token 1 is there, token 2 off by 9 + 16 + 16. Mean of 2 tokens, H = 3."""
    assert forget("srmu(c=5)", activations) == pytest.approx(41 / 6)


def test_the_retain_term_is_rmus_drift(activations, retain):
    assert retain("srmu", activations) == pytest.approx(9 / 6)


def test_the_direction_has_random_signs_and_the_length_of_the_activations(away):
    context = away(METHODS["srmu"]().needs)
    forget, retain = (
        srmu.mean_activation(context, side, 0) for side in (context.forget_examples, context.retain_examples)
    )
    found = direction(context, 0)
    torch.testing.assert_close(found.abs(), forget.mean() * srmu.importance(forget, retain))
    assert 0 < (found > 0).sum() < len(found)
    assert torch.equal(found, direction(away(METHODS["srmu"]().needs), 0))


def test_a_depth_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="layer"):
        METHODS["srmu"](layer=1.0)
