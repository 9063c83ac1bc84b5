from __future__ import annotations

import pytest
import torch
from random_networks import random_network

from audit.core.errors import AuditError
from audit.models.layers import (
    block_output,
    blocks,
    check_head,
    head,
    hidden_states,
    linear_weights,
    linears,
    mlp,
)
from audit.models.scope import parse_scope


def test_blocks_are_found_in_every_architecture(model):
    assert len(blocks(model.network)) == 2
    assert sum(p.numel() for p in mlp(blocks(model.network)[0]).parameters()) > 0


@pytest.mark.parametrize(
    # Llama, Qwen: q, k, v, o, gate, up, down. GPT-2: c_attn, c_proj, c_fc, c_proj. NeoX: qkv, dense, two
    ("architecture", "per_block"),
    [("llama", 7), ("qwen2", 7), ("gpt2", 4), ("gpt_neox", 4)],
)
def test_every_projection_inside_the_blocks_and_nothing_else_is_listed(architecture, per_block):
    found = linear_weights(random_network(architecture, 50))
    assert len(found) == 2 * per_block
    assert not any("embed" in name or "head" in name or "wte" in name for name in found)


def test_weights_are_shown_as_out_times_in_also_for_transposed_storage():
    network = random_network("gpt2", 50)
    matrix = next(m for name, m in linear_weights(network).items() if name.endswith("c_fc"))
    assert matrix.shape == (256, 64)
    module = next(linear.module for linear in linears(network) if linear.name.endswith("c_fc"))
    x = torch.randn(3, 64)
    torch.testing.assert_close(x @ matrix.T + module.bias, module(x))


def test_names_are_the_same_with_and_without_an_adapter(model):
    plain = list(linear_weights(model.network))
    parse_scope("lora(2)").apply(model)
    assert list(linear_weights(model.network)) == plain


def test_body_and_head_give_the_networks_own_logits(model):
    ids = torch.arange(1, 13).view(2, 6)
    with torch.no_grad():
        own = head(model.network, hidden_states(model.network, ids))
        torch.testing.assert_close(own, model.network(ids).logits)
    check_head(model.network)


def test_an_architecture_with_an_unknown_last_step_is_refused():
    class Scaled(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network
            self.config, self.base_model = network.config, network.base_model
            self.get_output_embeddings = network.get_output_embeddings

        def forward(self, **options):
            out = self.network(**options)
            out.logits = 2 * out.logits
            return out

    with pytest.raises(AuditError, match="E208"):
        check_head(Scaled(random_network("llama", 50)))


def test_right_padding_changes_no_real_position(model):
    ids = torch.arange(1, 7)[None]
    with torch.no_grad():
        short = hidden_states(model.network, ids)
        padded = hidden_states(model.network, torch.nn.functional.pad(ids, (0, 5)))
    torch.testing.assert_close(padded[:, :6], short, atol=1e-5, rtol=1e-5)


def test_a_blocks_output_is_what_the_network_reports_and_later_blocks_do_not_run(model):
    ids = torch.arange(1, 9)[None]
    calls = []
    blocks(model.network)[1].register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        first = block_output(model.network, ids, 0)
    assert not calls
    with torch.no_grad():
        reported = model.network(ids, output_hidden_states=True).hidden_states[1]
    torch.testing.assert_close(first, reported)


def test_the_hook_is_gone_after_an_early_exit(model):
    before = [len(block._forward_hooks) for block in blocks(model.network)]
    block_output(model.network, torch.arange(1, 5)[None], 1)
    assert [len(block._forward_hooks) for block in blocks(model.network)] == before


def test_a_network_whose_blocks_cannot_be_found_is_refused():
    network = random_network("llama", 50)
    network.config.num_hidden_layers = 5
    with pytest.raises(AuditError, match="E208"):
        blocks(network)
