"""AWQ against the search written out over the inputs themselves."""

from __future__ import annotations

import pytest
import torch

from audit.models.awq import awq, channel_scales, output_error
from audit.models.quantization import fake_quantize


def case(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A weight of 24 x 128, and 200 inputs of which a few channels are loud."""
    random = torch.Generator().manual_seed(seed)
    loud = 5 * torch.rand(128, generator=random).pow(3)
    return 0.1 * torch.randn(24, 128, generator=random), loud * torch.randn(200, 128, generator=random)


def rounded(weight, inputs):
    return awq(weight, inputs.T.double() @ inputs.double(), inputs.abs().mean(0))


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_best_of_twenty_exponents_for_the_outputs(seed):
    """Every exponent is tried on the inputs themselves, as equation 4 of the paper has it."""
    weight, inputs = case(seed)
    loudness = inputs.abs().mean(0)
    tried = []
    for point in range(20):
        scale = loudness ** (point / 20)
        scale = scale / (scale.max() * scale.min()).sqrt()
        outputs = (inputs / scale).double() @ fake_quantize(weight * scale).double().T
        tried.append(((outputs - inputs.double() @ weight.double().T) ** 2).sum())
    ours = rounded(weight, inputs)
    error = ((inputs.double() @ (ours - weight).double().T) ** 2).sum()
    assert error.item() == pytest.approx(min(tried).item(), rel=1e-5)
    assert min(tried) < 0.9 * tried[0]


@pytest.mark.parametrize("seed", range(4))
def test_outputs_never_err_more_than_rounded_to_nearest(seed):
    weight, inputs = case(seed)
    hessian = inputs.T.double() @ inputs.double()
    nearest = output_error(fake_quantize(weight) - weight, hessian)
    assert output_error(rounded(weight, inputs) - weight, hessian) <= nearest


def test_equally_loud_inputs_leave_rounding_to_nearest():
    weight, inputs = case(5)
    hessian = inputs.T.double() @ inputs.double()
    assert torch.equal(awq(weight, hessian, torch.full((128,), 3.0)), fake_quantize(weight))


def test_the_exponent_zero_scales_nothing_and_all_are_balanced_around_one():
    magnitude = torch.tensor([0.25, 1.0, 4.0])
    assert channel_scales(magnitude, 0.0).tolist() == [1.0, 1.0, 1.0]
    assert channel_scales(magnitude, 0.5).tolist() == [0.5, 1.0, 2.0]
    silent = channel_scales(torch.tensor([0.0, 1.0]), 0.5)  # 1e-4 and 1, divided by their geometric mean
    assert silent.tolist() == pytest.approx([1e-2, 1e2])


def test_a_matrix_that_lies_on_the_grid_already_keeps_every_bit():
    weight, inputs = case(6)
    released = fake_quantize(weight)
    assert torch.equal(rounded(released, inputs), released)


def test_inputs_that_are_no_numbers_are_an_error_and_never_an_unrounded_matrix():
    weight, inputs = case(7)
    inputs[0, 0] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        rounded(weight, inputs)


def test_the_output_error_is_the_squared_norm_of_the_outputs():
    """D = (1 2), inputs (1, 0), (1, 1): outputs 1 and 3, so 1 + 9."""
    inputs = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert output_error(torch.tensor([[1.0, 2.0]]), inputs.T @ inputs) == 10.0
