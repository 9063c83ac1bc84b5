"""What is kept of the starting model: as little as was asked for, each value once."""

from __future__ import annotations

import pytest
import torch

from audit.models import starting_model
from audit.models.layers import body
from audit.models.training import Context, Example

FORGET = [Example(f"f{i}/home/plain", f"Where does person {i} live?", f"Town {i * 7}") for i in range(5)]
RETAIN = [Example(f"r{i}/home/plain", f"Where does person {i} live?", f"Village {i}") for i in range(3)]


def prepared(model, *needs):
    context = Context(model, FORGET, RETAIN, 0)
    context.prepare(frozenset(needs), keep_reference=True)
    return context


def test_likelihoods_alone_keep_no_copy_of_the_network(llama):
    context = prepared(llama, "reference_nll")
    assert context.reference_nll(context.batch(FORGET)).shape == (5,)
    with pytest.raises(ValueError, match="name reference_logits in needs"):
        _ = context.start


def test_what_was_not_named_is_refused_by_name(llama):
    context = prepared(llama)
    batch = context.batch(RETAIN)
    for ask, name in (
        (context.reference_nll, "reference_nll"),
        (context.reference_logits, "reference_logits"),
        (lambda one: context.reference_hidden(one, 0), "reference_hidden"),
    ):
        with pytest.raises(ValueError, match=name):
            ask(batch)


def test_the_copy_stays_where_the_model_started(llama):
    context = prepared(llama, "reference_logits")
    batch = context.batch(FORGET)
    before = context.answer_logits(batch)[0].detach().log_softmax(-1)
    with torch.no_grad():
        for weight in llama.network.parameters():
            weight.add_(0.1)
    torch.testing.assert_close(context.reference_logits(batch), before)
    assert not any(weight.requires_grad for weight in context.start.network.parameters())


def test_the_retain_loss_is_the_mean_over_all_retain_tokens(llama):
    context = prepared(llama, "reference_retain_nll")
    expected = float(context.mean_nll(context.batch(RETAIN)).detach())
    assert context.reference_retain_nll() == pytest.approx(expected, rel=1e-5)


def test_a_value_per_sequence_is_computed_once_in_any_batch(llama):
    context, asked = prepared(llama), []

    def compute(part):
        asked.append(part.keys)
        return [torch.tensor(float(len(key))) for key in part.keys]

    for chosen in (FORGET[:2], FORGET[1:4], FORGET[:4]):
        values = context.once_per_sequence("length", context.batch(chosen), compute)
        assert [float(v) for v in values] == [len(e.key) for e in chosen]
    assert asked == [tuple(e.key for e in part) for part in (FORGET[:2], FORGET[2:4])]


def test_beyond_its_memory_values_are_computed_again_not_lost(llama, monkeypatch):
    monkeypatch.setattr(starting_model, "_CACHE_BYTES", 0)
    context = prepared(llama, "reference_logits")
    batch, calls = context.batch(FORGET), []
    body(context.start.network).register_forward_hook(lambda *_: calls.append(1))
    torch.testing.assert_close(context.reference_logits(batch), context.reference_logits(batch))
    assert len(calls) == 2
