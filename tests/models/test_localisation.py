"""Effects of single parts: exact where the network is linear, found where they are planted, none without noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from linear_network import LinearNetwork

from audit.core.errors import AuditError
from audit.models.batches import Example
from audit.models.digests import weight_digest
from audit.models.layers import attention, blocks, mlp
from audit.models.load import LanguageModel
from audit.models.localisation import Effects, attribution, parts, patching, tracing
from audit.models.localisation_pairs import pairs
from audit.models.scope import parse_scope

WAYS = {"attribution": attribution, "patching": patching, "tracing": tracing}
PARTS = ("0.attention", "0.mlp", "1.attention", "1.mlp")


@pytest.fixture
def people():
    """Two persons' questions in the same words; two to forget, one other."""
    asked = [
        Example("a/city", "where does XQ live now", "in x y"),
        Example("b/city", "where does QX live now", "in y"),
    ]
    return asked, [Example("c/city", "where does ZJ live now", "in z")]


@pytest.fixture
def linear(llama):
    return LanguageModel(LinearNetwork(len(llama.tokenizer)), llama.tokenizer, llama.prompt)


@pytest.fixture
def given(llama, people):
    return pairs(llama, *people)


def silence(module):
    """Let a part give nothing."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()


def silenced(model, but):
    for name, module in parts(model.network).items():
        if name not in but:
            silence(module)
    return model


def test_parts_are_attention_and_mlp_of_every_block(model):
    found = parts(model.network)
    assert tuple(found) == PARTS
    first, second = blocks(model.network)
    assert [found[name] for name in PARTS] == [attention(first), mlp(first), attention(second), mlp(second)]


def test_in_a_linear_network_attribution_is_patching_exactly(linear, given):
    exact, first_order = patching(linear, given), attribution(linear, given)
    assert np.abs(exact.values).min() > 1e-4
    np.testing.assert_allclose(first_order.values, exact.values, rtol=1e-6, atol=1e-6)  # logits are float32
    np.testing.assert_allclose(first_order.total, exact.total)


def test_patching_is_what_a_loop_over_single_questions_finds(model, given):
    """Each part's output for the asked question is put in by hand, one question at a time."""
    found = patching(model, given)

    def run(pair, ids, module=None, output=None):
        kept = {}

        def hook(name):
            def see(_m, _i, out):
                kept[name] = out[0] if isinstance(out, tuple) else out
                if module == name:
                    return (output, *out[1:]) if isinstance(out, tuple) else output

            return see

        handles = [m.register_forward_hook(hook(n)) for n, m in parts(model.network).items()]
        with torch.no_grad():
            logits = model.network(torch.tensor([ids])).logits[0].double()
        for handle in handles:
            handle.remove()
        rows = logits[pair.asked.answer_start - 1 : -1]
        answer = list(pair.asked.ids[pair.asked.answer_start :])
        return kept, float((rows[range(len(answer)), answer] - rows.mean(1)).mean())

    for row, pair in enumerate(given):
        kept, high = run(pair, pair.asked.ids)
        _, low = run(pair, pair.other.ids)
        assert found.total[row] == pytest.approx(high - low, abs=1e-4)
        for column, name in enumerate(PARTS):
            _, patched = run(pair, pair.other.ids, name, kept[name])
            assert found.values[row, column] == pytest.approx(patched - low, abs=1e-4)


def test_attribution_is_the_slope_of_patching(model, given):
    """A part's output moved by a small share of the way changes the height by that share of the attribution."""
    found, share = attribution(model, given), 1e-2

    def moved(module, wanted, step):
        def hook(_m, _i, out):
            first = out[0] if isinstance(out, tuple) else out
            new = first + step * (wanted - first)
            return (new, *out[1:]) if isinstance(out, tuple) else new

        handle = module.register_forward_hook(hook)
        try:
            return patching(model, [pair]).total[0]
        finally:
            handle.remove()

    pair = given[0]
    for column, module in enumerate(parts(model.network).values()):
        kept = []
        handle = module.register_forward_hook(
            lambda _m, _i, out, kept=kept: kept.append(out[0] if isinstance(out, tuple) else out)
        )
        with torch.no_grad():
            model.network(torch.tensor([pair.asked.ids]))
        handle.remove()
        # total = high - low: moved towards its own output the asked question stays where it is
        slope = (moved(module, kept[0], -share) - moved(module, kept[0], share)) / (2 * share)
        assert found.values[0, column] == pytest.approx(slope, rel=0.05, abs=5e-3)


@pytest.mark.parametrize("way", ["attribution", "patching"])
@pytest.mark.parametrize("planted", ["0.attention", "1.attention"])
def test_the_only_part_that_moves_information_is_found(model, given, way, planted):
    """With every other part silent the answer's place hears of the subject through this attention alone.

    A subject is never the last token of a question, and between it and the answer stands the same text.
    """
    found = WAYS[way](silenced(model, {planted}), given)
    column = PARTS.index(planted)
    assert (np.abs(found.values[:, column]) > 1e-3).all()
    np.testing.assert_allclose(np.delete(found.values, column, axis=1), 0, atol=1e-5)
    assert found.largest(0.25) == (planted,)
    if way == "patching":  # set back alone it sets everything back
        np.testing.assert_allclose(found.values[:, column], found.total, atol=1e-4)


@pytest.mark.parametrize("way", list(WAYS))
def test_an_mlp_that_alone_writes_what_the_head_reads_is_found(linear, given, way):
    """Embeddings live in the first three dimensions, the head reads the last three, only this MLP maps one to other.

    Attention of the first block moves the subject within the first three: it matters too, but as the MLP's input.
    The MLP of the second block sets everything back.
    """
    network = silenced(linear, set()).network
    first, second = network.base_model.h
    with torch.no_grad():
        network.base_model.embed.weight[:, 3:] = 0
        network.unembed.weight[:, :3] = 0
        first.attn.out.weight[:3, :3] = torch.eye(3)
        second.mlp.weight[3:, :3] = torch.eye(3)
    found = WAYS[way](linear, given)
    np.testing.assert_allclose(found.values[:, PARTS.index("1.mlp")], found.total, rtol=1e-6)
    np.testing.assert_allclose(found.values[:, [PARTS.index("0.mlp"), PARTS.index("1.attention")]], 0)
    assert "1.mlp" in found.largest(0.5)


def test_tracing_without_noise_finds_no_effect(model, given):
    found = tracing(model, given, noise=0.0)
    np.testing.assert_array_equal(found.values, 0)
    np.testing.assert_array_equal(found.total, 0)


def test_tracing_breaks_the_subject_and_nothing_else(linear, given):
    """All parts silent: a position answers from its own token, and subjects are no answer's place."""
    assert (np.abs(tracing(linear, given).total) > 1e-3).all()
    np.testing.assert_allclose(tracing(silenced(linear, set()), given).total, 0)


def test_noise_follows_its_seed_and_its_size(linear, given):
    """In a linear network an effect grows in proportion with the noise."""
    one, same, other = (tracing(linear, given, seed=seed).values for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    np.testing.assert_allclose(tracing(linear, given, noise=6.0).values, 2 * one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", list(WAYS))
def test_the_model_stays_as_it_was(model, given, way):
    frozen = next(iter(model.network.parameters()))
    frozen.requires_grad_(False)
    digest = weight_digest(model)
    found = WAYS[way](model, given)
    assert found.parts == PARTS
    assert found.values.shape == (2, 4)
    assert np.isfinite(found.values).all()
    assert weight_digest(model) == digest
    assert not frozen.requires_grad
    assert all(weight.grad is None for weight in model.network.parameters())
    assert not any(module._forward_hooks for module in model.network.modules())


@pytest.mark.parametrize("way", list(WAYS))
def test_frozen_weights_and_an_adapter_change_nothing(llama, given, way):
    expected = WAYS[way](llama, given)
    frozen, adapted = llama.clone(), llama.clone()
    frozen.network.requires_grad_(False)
    parse_scope("lora(2)").apply(adapted)  # starts as the same function
    for other in (frozen, adapted):
        np.testing.assert_allclose(WAYS[way](other, given).values, expected.values, atol=1e-4)


@pytest.mark.parametrize("way", ["attribution", "patching"])
def test_padding_and_batch_neighbours_change_nothing(llama, given, way):
    together = WAYS[way](llama, given).values
    alone = np.concatenate([WAYS[way](llama, [pair]).values for pair in given])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_pair_is_the_nearest_other_question_of_the_same_length(llama):
    forget = [Example("a", "where does XQ live now", "in x")]
    others = [
        Example("b", "where does ZX live vow", "z"),
        Example("c", "where does ZX live now", "z"),
        Example("d", "where does XQ live now", "z"),  # the same question is no other one
        Example("e", "where does XJ live now then", "z"),
    ]
    own, far, near, same, longer = (llama.encode_prompt(e.question) for e in [*forget, *others])
    assert len(own) == len(far) == len(near) == len(same) != len(longer)
    (pair,) = pairs(llama, forget, others)
    assert (
        pair.other.ids == llama.encode(others[1].question, "in x").ids[:-1]
    )  # the first one's answer, no EOS
    assert pair.asked.ids == llama.encode(forget[0].question, "in x").ids[:-1]
    differ = [place for place, (one, two) in enumerate(zip(own, near, strict=True)) if one != two]
    assert list(pair.subject) == differ
    assert len(differ) == 2


def test_questions_without_a_partner_are_left_out_and_none_at_all_is_refused(llama, people):
    asked, others = people
    lonely = Example("z", "why", "so")
    assert len(pairs(llama, [*asked, lonely], others)) == 2
    with pytest.raises(AuditError, match="E293"):
        pairs(llama, [lonely], others)
    with pytest.raises(AuditError, match="E293"):
        pairs(llama, asked[:1], asked[:1])


def test_the_largest_share_is_rounded_up_and_in_network_order():
    """Mean absolute effects 2, 3, 0, 1."""
    found = Effects(PARTS, np.array([[1.0, -3.0, 0.0, 1.0], [-3.0, 3.0, 0.0, 1.0]]), np.zeros(2))
    assert found.largest(0.25) == ("0.mlp",)
    assert found.largest(0.5) == ("0.attention", "0.mlp")
    assert found.largest(0.51) == ("0.attention", "0.mlp", "1.mlp")
    assert found.largest(1.0) == PARTS


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_without_any_effect_nothing_is_located(value):
    with pytest.raises(AuditError, match="E292"):
        Effects(PARTS, np.full((1, 4), value), np.zeros(1)).largest(0.5)
