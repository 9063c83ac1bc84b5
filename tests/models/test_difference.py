"""Distance, codes and layer profile of an update, against weights that were changed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from random_networks import random_network

from audit.models.difference import block_distances, update_diagnostics
from audit.models.layers import blocks, linear_weights
from audit.models.load import LanguageModel, PromptTemplate
from audit.models.quantization import quantize_network
from audit.models.scope import parse_scope


def norm(network):
    return math.sqrt(sum(float(w.detach().double().square().sum()) for w in network.parameters()))


def test_an_untouched_model_is_at_distance_zero_and_has_no_profile(model):
    found = update_diagnostics(model.clone(), model)
    assert found == {"distance": 0, "weights_changed": 0, "int4_codes_changed": 0}
    assert block_distances(model.clone(), model).tolist() == [0, 0]


def test_a_uniform_stretch_of_ten_percent_is_a_distance_of_a_tenth(model):
    moved = model.clone()
    with torch.no_grad():
        for weight in moved.network.parameters():
            weight.mul_(1.1)
    found = update_diagnostics(moved, model)
    assert found["distance"] == pytest.approx(0.1, rel=1e-4)
    np.testing.assert_allclose(block_distances(moved, model), 0.1, rtol=1e-4)
    assert sum(value for name, value in found.items() if name.startswith("change_")) == pytest.approx(1)


def test_one_changed_weight_is_counted_once_and_found_in_its_block(model):
    """A weight moved by 2.5 in the second of two blocks: third floor(3 / 2) = 1 of 0, 1, 2, the middle."""
    moved = model.clone()
    weight = next(iter(blocks(moved.network)[1].parameters()))
    with torch.no_grad():
        weight.view(-1)[3] += 2.5
    found = update_diagnostics(moved, model)
    assert found["distance"] == pytest.approx(2.5 / norm(model.network), rel=1e-5)
    assert found["weights_changed"] == 1 / model.parameters_count
    profile = {name: value for name, value in found.items() if name.startswith("change_")}
    assert profile == pytest.approx(
        {
            "change_in_first_third": 0,
            "change_in_middle_third": 1,
            "change_in_last_third": 0,
            "change_outside_blocks": 0,
        }
    )
    first, second = block_distances(moved, model)
    assert first == 0
    assert second == pytest.approx(2.5 / norm(blocks(model.network)[1]), rel=1e-5)


def test_a_change_of_the_embeddings_lies_outside_the_blocks(llama):
    moved = llama.clone()
    with torch.no_grad():
        moved.network.get_input_embeddings().weight[0] += 1
    assert update_diagnostics(moved, llama)["change_outside_blocks"] == 1


def test_codes_tell_a_visible_update_from_one_that_rounding_takes_back(llama):
    """On the 4-bit grid a move by a hundredth of a step changes no code, one by two steps every code it is in."""
    quantize_network(llama.network, "int4")
    small, large = llama.clone(), llama.clone()
    for moved, steps in ((small, 0.01), (large, 2)):
        with torch.no_grad():
            for matrix in linear_weights(moved.network).values():
                step = matrix.abs().max() / 7
                inside = matrix.abs() < 3 * step
                matrix.add_(torch.where(inside, step * steps, 0.0))
    assert update_diagnostics(small, llama)["int4_codes_changed"] < 0.01
    assert update_diagnostics(small, llama)["weights_changed"] > 0.5
    assert update_diagnostics(large, llama)["int4_codes_changed"] > 0.5


def test_an_adapter_counts_as_what_it_adds_to_the_weights(llama):
    changed = llama.clone()
    parse_scope("lora(2)").apply(changed)
    with torch.no_grad():
        for name, weight in changed.network.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.05)
    merged = update_diagnostics(changed.merged(), llama)
    assert update_diagnostics(changed, llama) == merged
    assert merged["distance"] > 0
    assert merged["change_outside_blocks"] == 0


def test_models_that_cannot_be_compared_have_no_diagnostics(llama, tokenizer):
    other = LanguageModel(random_network("llama", len(tokenizer) + 3), tokenizer, PromptTemplate("qa"))
    another = LanguageModel(random_network("gpt2", len(tokenizer)), tokenizer, PromptTemplate("qa"))
    assert update_diagnostics(other, llama) == {}
    assert update_diagnostics(another, llama) == {}
    with pytest.raises(ValueError, match="blocks differ"):
        block_distances(another, llama)
