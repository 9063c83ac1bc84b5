"""What the blocks hold, against transformers' own list of hidden states."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_networks import ARCHITECTURES, random_network

from audit.core.errors import AuditError
from audit.data.records import Probe
from audit.models.activations import final_norm, lens, question_states
from audit.models.layers import blocks
from audit.models.load import LanguageModel, PromptTemplate
from audit.models.scope import parse_scope
from audit.models.scoring import score

NORMS = {
    "llama": lambda network: network.model.norm,
    "gpt2": lambda network: network.transformer.ln_f,
    "gpt_neox": lambda network: network.gpt_neox.final_layer_norm,
    "qwen2": lambda network: network.model.norm,
}


@pytest.fixture
def probes(corpus):
    return [probe for person in corpus.forget[:4] for probe in person.probes]


def states_of(model, probe):
    """Return the encoded probe and transformers' states after each block, (L, T, H), the last one before the norm."""
    item = model.encode(probe.question, probe.answer)
    kept = []
    handles = [
        block.register_forward_hook(
            lambda _m, _i, out: kept.append(out[0] if isinstance(out, tuple) else out)
        )
        for block in blocks(model.network)
    ]
    with torch.no_grad():
        reported = model.network(torch.tensor([item.ids]), output_hidden_states=True).hidden_states
    for handle in handles:
        handle.remove()
    for mine, theirs in zip(kept[:-1], reported[1:-1], strict=True):
        torch.testing.assert_close(mine, theirs)
    return item, torch.stack(kept)[:, 0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_norm_before_the_head_is_found(architecture):
    network = random_network(architecture, 50)
    assert final_norm(network) is NORMS[architecture](network)


def test_it_is_found_under_an_adapter_too(model):
    plain = final_norm(model.network)
    parse_scope("lora(2)").apply(model)
    assert final_norm(model.network) is plain


def test_the_last_block_tells_what_the_model_says(model, probes):
    for own, read in zip(score(model, probes), lens(model, probes), strict=True):
        assert read.logp.shape == (2, len(own.logp))
        np.testing.assert_allclose(read.logp[-1], own.logp, atol=1e-5)
        np.testing.assert_array_equal(read.greedy[-1], own.greedy)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_earlier_blocks_are_read_through_the_final_norm_and_the_head(architecture, tokenizer, probes):
    network = random_network(architecture, len(tokenizer))
    model = LanguageModel(network, tokenizer, PromptTemplate("qa"))
    for probe, read in zip(probes, lens(model, probes), strict=True):
        item, states = states_of(model, probe)
        end = len(item.ids) - item.eos
        with torch.no_grad():
            logits = network.get_output_embeddings()(NORMS[architecture](network)(states[0])).double()
        rows = logits.log_softmax(-1)[item.answer_start - 1 : end - 1]
        expected = rows[range(len(rows)), list(item.ids[item.answer_start : end])].numpy()
        np.testing.assert_allclose(read.logp[0], expected, atol=1e-5)
        hits = rows.argmax(-1).numpy() == item.ids[item.answer_start : end]
        np.testing.assert_array_equal(read.greedy[0], hits)


def test_batches_change_nothing(model, probes):
    for one, other in zip(lens(model, probes), lens(model, probes, batch_tokens=1), strict=True):
        np.testing.assert_allclose(one.logp, other.logp, atol=1e-5)
        assert one.logp.shape == other.logp.shape


def test_the_state_of_a_question_is_the_one_at_its_last_token(model, probes):
    probes = [*probes, Probe("u", "long", probes[0].question * 3, "yes")]
    found = question_states(model, probes)
    assert found.shape == (2, len(probes), 64)
    for place, probe in enumerate(probes):
        item, states = states_of(model, probe)
        np.testing.assert_allclose(found[:, place], states[:, item.answer_start - 1].numpy(), atol=1e-4)


def test_the_answer_does_not_reach_the_state_of_its_question(llama, probes):
    asked = [Probe("u", str(i), probes[0].question, p.answer) for i, p in enumerate(probes)]
    found = question_states(llama, asked)
    np.testing.assert_allclose(found, np.repeat(found[:, :1], len(asked), axis=1), atol=1e-5)


def test_no_hook_stays_behind(llama, probes):
    before = [len(block._forward_hooks) for block in blocks(llama.network)]
    lens(llama, probes)
    question_states(llama, probes)
    assert [len(block._forward_hooks) for block in blocks(llama.network)] == before


def test_a_model_without_a_final_norm_is_refused(llama, probes):
    llama.network.model.norm = torch.nn.Identity()
    with pytest.raises(AuditError, match="E361"):
        lens(llama, probes)


def test_a_norm_that_is_not_the_models_last_step_is_refused(llama, probes):
    llama.network.model.another_norm = torch.nn.LayerNorm(64)  # beside the blocks, but never applied
    with pytest.raises(AuditError, match="E361"):
        lens(llama, probes)
