"""What methods, weightings and steps promise on layouts of other names and shapes than a Llama's.

GPT-NeoX stores queries, keys and values in one projection and adds attention and MLP in parallel, Qwen2 has biases in its
attention, GPT-2 stores its projections transposed. Networks are random and as small as they come.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import transformers

from audit.methods.base import METHODS, STEPS, WEIGHTINGS, spends
from audit.models.digests import weight_digest
from audit.models.language_model import LanguageModel, PromptTemplate
from audit.models.sliced import SlicedTraining

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
LAYOUTS = {
    "gpt2": lambda common: transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=64, **common),
    "gpt_neox": lambda common: transformers.GPTNeoXConfig(**SIZES, **common),
    "qwen2": lambda common: transformers.Qwen2Config(num_key_value_heads=1, **SIZES, **common),
}
FIRST_BLOCK = {"gpt2": "transformer.h.0.", "gpt_neox": "gpt_neox.layers.0.", "qwen2": "model.layers.0."}
ON_ADAPTERS = [n for n in METHODS.names() if METHODS[n]().needs & {"adapter", "training"}]
TEXTS = [
    *(
        n + ("(steps=3)" if "steps" in spends(METHODS[n]) else "")
        for n in METHODS.names()
        if n not in ON_ADAPTERS
    ),
    *(f"graddiff(steps=3) * {name}" for name in WEIGHTINGS.names()),
    *(f"graddiff(steps=3) + {name}" for name in STEPS.names()),
]


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request, lab):
    """Return a random network of one layout and its first block's name."""
    tokens = lab.tokenizer()
    common = {"vocab_size": len(tokens), "bos_token_id": None, "eos_token_id": tokens.eos_token_id}
    config = LAYOUTS[request.param](common)
    config.initializer_range = 0.2  # far from uniform
    torch.manual_seed(0)
    network = transformers.AutoModelForCausalLM.from_config(config).eval()
    model = LanguageModel(network, tokens, PromptTemplate("qa"))
    return SimpleNamespace(model=model, first=FIRST_BLOCK[request.param])


@pytest.mark.parametrize("text", TEXTS)
def test_the_first_block_moves_and_nothing_else(text, layout, lab):
    before, after = lab.weights(layout.model), lab.weights(lab.run(f"{text} @layers(0:1)", layout.model))
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved
    assert all(key.startswith(layout.first) for key in moved)
    assert all(torch.isfinite(weight).all() for weight in after.values())


@pytest.mark.parametrize("name", ON_ADAPTERS)
def test_an_edit_that_owns_its_adapter_moves_that_and_nothing_else(name, layout, lab):
    """The start: two slices of knowledge in one adapter, and how they were learned."""
    how = SlicedTraining(rank=2, epochs=2, batch=8, lr=1e-2, seed=0)
    training = lab.in_slices(layout.model, how, [], lab.retain[:2], lab.retain[2:])
    start = replace(training.again(with_forgotten=True, seed=0), training=training)
    made = lab.run(name, start)
    assert weight_digest(made.merged()) != weight_digest(start.merged())
    before, after = lab.weights(layout.model), lab.weights(made)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(torch.isfinite(weight).all() for weight in after.values())
