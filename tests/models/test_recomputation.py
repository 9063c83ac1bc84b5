"""Activations computed again give the same weights bit by bit, keep less, and leave the network as it was."""

from __future__ import annotations

import pytest
import torch

from audit.models import recomputation
from audit.models.layers import blocks, body
from audit.models.load import weight_digest
from audit.models.recomputation import recomputed
from audit.models.scope import parse_scope
from audit.models.training import NLL, Budget, Example, train

FORGET = [Example(f"f{i}", f"In which city was person {i} born?", f"Town {i * 7}") for i in range(6)]
RETAIN = [Example(f"r{i}", f"What does person {i} play?", f"instrument number {i * 3}") for i in range(6)]
BUDGET = Budget(lr=1e-2, steps=3, batch=3)


def trained(model, scope):
    twin = model.clone()
    train(twin, NLL(), FORGET, RETAIN, BUDGET, scope=parse_scope(scope), seed=1)
    return twin


def kept(model):
    """Elements that a forward pass keeps for its backward pass, weights left out."""
    sizes = []
    weights = {p.data_ptr() for p in model.network.parameters()}

    def pack(tensor):
        sizes.append(0 if tensor.data_ptr() in weights else tensor.numel())
        return tensor

    ids = torch.arange(24).reshape(2, 12)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), recomputed(model):
        body(model.network)(input_ids=ids, use_cache=False)
    return sum(sizes)


def test_recomputing_gives_the_same_adapter_bit_by_bit(model, monkeypatch):
    plain = trained(model, "lora(2)")
    runs = []
    body_type = type(blocks(model.network)[0])
    original = body_type.forward
    monkeypatch.setattr(body_type, "forward", lambda *a, **k: runs.append(1) or original(*a, **k))
    monkeypatch.setattr(recomputation, "LARGE", 0)
    again = trained(model, "lora(2)")
    assert weight_digest(again) == weight_digest(plain)
    assert len(runs) == 3 * 2 * 2  # steps, blocks, and each block once more in the backward pass


def test_a_forward_pass_keeps_less_than_half(llama, monkeypatch):
    parse_scope("lora(2)").apply(llama)
    plain = kept(llama)
    monkeypatch.setattr(recomputation, "LARGE", 0)
    assert 0 < kept(llama) < 0.5 * plain


@pytest.mark.parametrize(("scope", "large"), [("all", 0), ("lora(2)", 10**9)])
def test_full_training_and_small_bases_keep_their_activations(llama, monkeypatch, scope, large):
    parse_scope(scope).apply(llama)
    monkeypatch.setattr(recomputation, "LARGE", large)
    assert not recomputation.recomputes(llama)
    with recomputed(llama):
        assert all("forward" not in vars(block) for block in blocks(llama.network))


def test_the_network_is_as_it_was_afterwards_whatever_happens(llama, monkeypatch):
    parse_scope("lora(2)").apply(llama)
    monkeypatch.setattr(recomputation, "LARGE", 0)
    first, second = blocks(llama.network)
    first.forward = mine = first.forward
    with pytest.raises(ZeroDivisionError), recomputed(llama):
        1 / (first.forward is mine)  # inside it is not
    assert first.forward is mine
    assert "forward" not in vars(second)
