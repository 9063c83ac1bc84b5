"""GPTQ against optimal brain quantization done the slow way, and where it must equal rounding to nearest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audit.models.awq import output_error
from audit.models.gptq import gptq
from audit.models.quantization import codes, fake_quantize, steps


def case(seed: int, out: int = 3, width: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    """A weight, and the Hessian of inputs that share a few common causes."""
    random = np.random.default_rng(seed)
    causes = random.normal(size=(400, 12)) @ random.normal(size=(12, width))
    inputs = causes + 0.5 * random.normal(size=(400, width))
    return torch.from_numpy(random.normal(size=(out, width))), torch.from_numpy(inputs.T @ inputs / 400)


def slow_quantization(weight: np.ndarray, hessian: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Optimal brain quantization in fixed order, its inverse of the columns left computed anew at every column."""
    damped = hessian + 0.01 * np.mean(np.diag(hessian)) * np.eye(len(hessian))
    left, rounded = weight.copy(), np.zeros_like(weight)
    for column in range(weight.shape[1]):
        inverse = np.linalg.inv(damped[column:, column:])
        level = np.clip(np.round(left[:, column] / step[:, column]), -7, 7)
        rounded[:, column] = level * step[:, column]
        missed = (left[:, column] - rounded[:, column]) / inverse[0, 0]
        left[:, column:] -= np.outer(missed, inverse[0])
    return rounded


@pytest.mark.parametrize(("width", "group"), [(200, 64), (96, 0), (130, 32)])
def test_it_equals_optimal_brain_quantization_in_the_columns_order(width, group):
    weight, hessian = case(0, width=width)
    step = steps(weight, "int4", group).double().numpy()
    expected = slow_quantization(weight.numpy(), hessian.numpy(), step)
    assert np.allclose(gptq(weight, hessian, group).numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_on_inputs_that_move_together_the_outputs_err_less_than_rounded_to_nearest(seed):
    weight, hessian = case(seed, out=8)
    nearest = output_error(fake_quantize(weight) - weight, hessian)
    assert output_error(gptq(weight, hessian) - weight, hessian) < 0.8 * nearest


def test_inputs_that_have_nothing_in_common_leave_rounding_to_nearest():
    weight, _ = case(1)
    diagonal = torch.diag(torch.linspace(0.1, 5, 200, dtype=torch.float64))
    assert torch.equal(gptq(weight, torch.eye(200)), fake_quantize(weight))
    assert torch.equal(gptq(weight, diagonal), fake_quantize(weight))


def test_every_weight_is_a_multiple_of_its_groups_step():
    weight, hessian = case(2)
    levels = gptq(weight, hessian) / steps(weight, "int4", 64)
    assert torch.equal(levels, levels.round())
    assert levels.abs().max() <= 7
    assert not torch.equal(levels, codes(weight).double())


def test_a_matrix_that_lies_on_the_grid_already_keeps_every_bit():
    weight, hessian = case(3)
    released = fake_quantize(weight)
    assert torch.equal(gptq(released, hessian), released)


def test_how_many_tokens_were_seen_does_not_matter():
    weight, hessian = case(4)
    assert torch.equal(gptq(weight, 400 * hessian), gptq(weight, hessian))


def test_an_input_that_calibration_never_switched_on_is_rounded_to_nearest():
    """And its weights get no share of the others' errors."""
    weight, hessian = case(5)
    hessian[70], hessian[:, 70] = 0.0, 0.0
    rounded = gptq(weight, hessian)
    assert torch.equal(rounded[:, 70], fake_quantize(weight)[:, 70])
    assert not torch.equal(rounded, fake_quantize(weight))


def test_without_any_input_at_all_it_is_rounding_to_nearest():
    weight, hessian = case(6)
    assert torch.equal(gptq(weight, torch.zeros_like(hessian)), fake_quantize(weight))


def test_a_group_of_zeros_stays_zero():
    weight, hessian = case(7)
    weight[:, 64:128] = 0.0
    assert torch.count_nonzero(gptq(weight, hessian)[:, 64:128]) == 0
