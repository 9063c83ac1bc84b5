"""What reaches the projections, and rounding on it block by block."""

from __future__ import annotations

import pytest
import torch

from audit.models.awq import awq, output_error
from audit.models.calibration import Inputs, block_inputs, quantize_calibrated
from audit.models.gptq import gptq
from audit.models.layers import block_output, blocks, linear_weights, linears
from audit.models.quantization import fake_quantize, quantize_network

SEQUENCES = [[7, 3, 9], [1, 2, 3, 4, 5], [8, 6, 4], [5, 5, 1, 2]]


def inside(model, depth):
    modules = set(blocks(model.network)[depth].modules())
    return [linear for linear in linears(model.network) if linear.module in modules]


def test_moments_are_means_over_all_tokens_however_they_arrive():
    x = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    seen = Inputs(torch.zeros(4, 4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64))
    seen.add(x[:6].reshape(2, 3, 4))
    seen.add(x[6:7])
    seen.add(x[7:])
    assert seen.tokens == 12
    assert torch.allclose(seen.outer, (x.T.double() @ x.double()) / 12)
    assert torch.allclose(seen.magnitude, x.double().abs().mean(0))


def test_no_padding_is_calibrated_on(model):
    """All tokens of all sequences once, and the same moments as one sequence after the other."""
    together = block_inputs(model, 1, inside(model, 1), SEQUENCES)
    alone = [block_inputs(model, 1, inside(model, 1), [sequence]) for sequence in SEQUENCES]
    for name, seen in together.items():
        assert seen.tokens == 15
        expected = sum(one[name].outer * one[name].tokens for one in alone) / 15
        assert torch.allclose(seen.outer, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("scheme", "rule"), [("gptq", gptq), ("awq", None)])
def test_each_block_is_calibrated_on_what_the_rounded_blocks_before_it_hand_on(llama, scheme, rule):
    halfway = llama.clone()  # the first block rounded, the second not yet
    quantize_calibrated(llama, scheme, 64, SEQUENCES)
    now = linear_weights(llama.network)
    with torch.no_grad():
        for linear in inside(halfway, 0):
            linear.matrix.copy_(now[linear.name])
    seen = block_inputs(halfway, 1, inside(halfway, 1), SEQUENCES)
    for linear in inside(halfway, 1):
        moments = seen[linear.name]
        wanted = (
            rule(linear.matrix, moments.outer)
            if rule
            else awq(linear.matrix, moments.outer, moments.magnitude)
        )
        assert torch.equal(now[linear.name], wanted)


@pytest.mark.parametrize("scheme", ["gptq", "awq"])
def test_on_every_architecture_the_first_blocks_outputs_err_less_than_rounded_to_nearest(model, scheme):
    seen = block_inputs(model, 0, inside(model, 0), SEQUENCES)
    before = {name: matrix.clone() for name, matrix in linear_weights(model.network).items()}
    others = {
        n: t.clone() for n, t in model.network.state_dict().items() if n.removesuffix(".weight") not in before
    }
    quantize_calibrated(model, scheme, 64, SEQUENCES)
    ours = nearest = 0.0
    for linear in inside(model, 0):
        weight, outer = before[linear.name], seen[linear.name].outer
        ours += output_error(linear.matrix - weight, outer)
        nearest += output_error(fake_quantize(weight) - weight, outer)
    assert ours < nearest
    state = model.network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in others.items())


@pytest.mark.parametrize("scheme", ["gptq", "awq"])
def test_a_model_released_on_the_grid_stays_as_it_is(llama, scheme):
    quantize_network(llama.network)
    before = {name: matrix.clone() for name, matrix in linear_weights(llama.network).items()}
    quantize_calibrated(llama, scheme, 64, SEQUENCES)
    assert all(torch.equal(m, before[name]) for name, m in linear_weights(llama.network).items())


def test_nothing_watches_the_network_afterwards(llama):
    quantize_calibrated(llama, "awq", 64, SEQUENCES)
    assert not any(linear.module._forward_pre_hooks for linear in linears(llama.network))
    block_output(llama.network, torch.tensor([[1, 2]]), 0)


def test_calibration_without_text_or_with_an_unknown_rule_is_an_error(llama):
    with pytest.raises(ValueError, match="at least one"):
        quantize_calibrated(llama, "gptq", 64, [])
    with pytest.raises(ValueError, match="int4"):
        quantize_calibrated(llama, "int4", 64, SEQUENCES)
