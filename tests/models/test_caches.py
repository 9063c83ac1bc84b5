"""What all prompts begin with is read once, and a cache that grows in place holds what a plain one holds."""

from __future__ import annotations

import pytest
import torch
import transformers
from random_networks import random_network

from audit.models import caches
from audit.models.caches import NOTHING, new_cache, shared_beginning, states_after
from audit.models.layers import body, hidden_states

HEAD = tuple(range(3, 23))
PROMPTS = [(*HEAD, 30 + i, *range(40, 40 + i % 3)) for i in range(10)]


def padded(prompts):
    longest = max(map(len, prompts))
    return torch.tensor([[*p, *[0] * (longest - len(p))] for p in prompts])


def test_states_behind_a_shared_beginning_are_those_of_whole_sequences(model):
    beginning = shared_beginning(model, PROMPTS)
    assert beginning.tokens == len(HEAD)
    ids = padded(PROMPTS)
    with torch.inference_mode():
        behind, whole = states_after(beginning, model.network, ids), hidden_states(model.network, ids)
    for row, prompt in enumerate(PROMPTS):
        own = slice(len(HEAD), len(prompt))
        part = behind[row, : len(prompt) - len(HEAD)]
        torch.testing.assert_close(part, whole[row, own], atol=1e-5, rtol=1e-5)


def test_the_beginning_runs_once_however_many_prompts_there_are(llama):
    beginning = shared_beginning(llama, PROMPTS)
    seen = []
    body(llama.network).register_forward_pre_hook(
        lambda _m, _a, given: seen.append(given["input_ids"].numel()), with_kwargs=True
    )
    with torch.inference_mode():
        states_after(beginning, llama.network, padded(PROMPTS))
    assert seen == [len(PROMPTS) * (max(map(len, PROMPTS)) - len(HEAD))]


@pytest.mark.parametrize(
    "prompts",
    [[], PROMPTS[:7], [p[5:] for p in PROMPTS], [*PROMPTS, (99, *PROMPTS[0])]],
    ids=["none", "few prompts", "15 tokens", "another start"],
)
def test_what_is_short_or_rare_or_not_shared_is_not_read_apart(llama, prompts):
    assert shared_beginning(llama, prompts) is NOTHING


def test_equal_prompts_keep_a_token_of_their_own(llama):
    assert shared_beginning(llama, [HEAD] * 8).tokens == len(HEAD) - 1


def test_networks_with_a_short_window_read_every_prompt_whole(llama):
    config = transformers.MistralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        sliding_window=8,
        bos_token_id=None,
        eos_token_id=0,
    )
    llama.network = transformers.MistralForCausalLM(config).eval()
    assert shared_beginning(llama, PROMPTS) is NOTHING


def test_a_network_that_fails_the_trial_reads_every_prompt_whole(llama, monkeypatch):
    monkeypatch.setattr(caches, "states_after", lambda *_: torch.tensor(9e9))
    assert shared_beginning(llama, PROMPTS) is NOTHING


def test_a_growing_cache_holds_what_a_plain_one_holds(monkeypatch):
    monkeypatch.setattr(caches, "SPARE", 3)
    network = random_network("llama", 64)
    growing, own = new_cache(network), transformers.DynamicCache(config=network.config)
    rows = 4
    torch.manual_seed(0)
    for step in range(12):
        ids = torch.randint(0, 64, (rows, 5 if step == 0 else 1))
        with torch.inference_mode():
            for kept in (growing, own):
                body(network)(input_ids=ids, past_key_values=kept, use_cache=True)
        if step in (4, 5, 9):
            rows -= 1
            for kept in (growing, own):
                kept.batch_select_indices(torch.arange(1, rows + 1))
        assert growing.get_seq_length() == own.get_seq_length() == 5 + step
        for a, b in zip(growing.layers, own.layers, strict=True):
            assert torch.equal(a.keys, b.keys)
            assert torch.equal(a.values, b.values)
