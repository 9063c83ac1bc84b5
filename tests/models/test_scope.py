from __future__ import annotations

import pytest
import torch

from audit.core.errors import AuditError
from audit.models.layers import blocks, mlp
from audit.models.load import weight_digest
from audit.models.scope import parse_scope


def trainable(model):
    return {id(p) for p in model.network.parameters() if p.requires_grad}


@pytest.mark.parametrize(
    "text", ["all", "lora(16)", "layers(0:2)", "layers(0:1).mlp", "layers(:1)", "layers(-1:)"]
)
def test_a_scope_prints_as_the_text_it_was_parsed_from(text):
    assert str(parse_scope(text)) == text
    assert parse_scope(str(parse_scope(text))) == parse_scope(text)


def test_spaces_and_the_name_of_the_rank_are_optional():
    assert str(parse_scope(" lora( r=8 ) ")) == "lora(8)"
    assert str(parse_scope("layers( 0 : 2 ).mlp")) == "layers(0:2).mlp"


@pytest.mark.parametrize(
    "text", ["", "lora", "lora(0)", "lora(-1)", "layers(0)", "layers(0:2).attn", "everything"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(AuditError, match="E211"):
        parse_scope(text)


def test_all_moves_every_weight(model):
    parse_scope("all").apply(model)
    assert trainable(model) == {id(p) for p in model.network.parameters()}


def test_layers_moves_exactly_the_named_blocks(model):
    parse_scope("layers(1:2)").apply(model)
    assert trainable(model) == {id(p) for p in blocks(model.network)[1].parameters()}


def test_layers_mlp_moves_exactly_their_feed_forward_parts(model):
    parse_scope("layers(0:2).mlp").apply(model)
    assert trainable(model) == {id(p) for block in blocks(model.network) for p in mlp(block).parameters()}


def test_negative_ends_count_from_the_last_block(model):
    parse_scope("layers(-1:)").apply(model)
    assert trainable(model) == {id(p) for p in blocks(model.network)[-1].parameters()}


@pytest.mark.parametrize("text", ["layers(2:4)", "layers(0:3)", "layers(1:1)"])
def test_layers_a_model_does_not_have_are_refused(llama, text):
    with pytest.raises(AuditError, match="E209"):
        parse_scope(text).apply(llama)


def test_lora_moves_adapter_weights_only_and_starts_as_the_same_function(model):
    ids = torch.arange(1, 9)[None]
    before = model.network(ids).logits
    parse_scope("lora(4)").apply(model, seed=0)
    names = [name for name, p in model.network.named_parameters() if p.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    assert torch.equal(model.network(ids).logits, before)
    assert all(p.shape[0] == 4 for name, p in model.network.named_parameters() if "lora_A" in name)


def test_loras_start_depends_on_its_seed_alone(llama):
    twins = [llama.clone() for _ in range(3)]
    for twin, seed in zip(twins, (0, 0, 1), strict=True):
        torch.manual_seed(int(seed) + 17 + len(twins))
        torch.rand(3)
        parse_scope("lora(2)").apply(twin, seed=seed)
    digests = [weight_digest(twin) for twin in twins]
    assert digests[0] == digests[1] != digests[2]


def test_applying_lora_leaves_the_global_generator_alone(llama):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    parse_scope("lora(2)").apply(llama)
    assert torch.equal(torch.rand(3), expected)


def test_a_second_adapter_is_refused(llama):
    parse_scope("lora(2)").apply(llama)
    with pytest.raises(AuditError, match="E212"):
        parse_scope("lora(2)").apply(llama)
