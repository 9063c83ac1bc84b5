"""A model that knows sixteen answers by heart, for what is held against every step, edit and post-calibration."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tokenizers
import torch
import transformers

from audit.data.records import Probe
from audit.methods.compose import parse_recipe, run_recipe
from audit.models.language_model import LanguageModel, PromptTemplate
from audit.models.scope import Scope
from audit.models.scoring import score
from audit.models.training import NLL, Budget, Example, fit, train

COLOURS = ["red", "green", "blue", "pink", "gold", "grey", "teal", "plum"]


def examples(side: str, shift: int) -> list[Example]:
    """Eight questions of two lengths, answers of two and three words."""
    made = []
    for i in range(8):
        words = [COLOURS[(i + shift) % 8], COLOURS[(3 * i + shift) % 8], *([COLOURS[i]] if i % 3 else [])]
        question = f"where does {side}{i} live {'?' if i % 2 else 'now ?'}"
        made.append(Example(f"{side}{i}/home/plain", question, " ".join(words)))
    return made


FORGET, RETAIN = examples("f", 0), examples("r", 5)


def fitted(architecture: str, known: list[Example]) -> LanguageModel:
    names = [f"{side}{i}" for side in "fr" for i in range(8)]
    words = ["Q", ":", "A", "where", "does", "now", "live", "?", "<unk>", "</s>", *names, *COLOURS]
    raw = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokens = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="<unk>")
    common = {"vocab_size": len(tokens), "bos_token_id": None, "eos_token_id": tokens.eos_token_id}
    torch.manual_seed(0)
    if architecture == "gpt2":
        config = transformers.GPT2Config(n_embd=64, n_layer=2, n_head=4, n_positions=64, **common)
        network = transformers.GPT2LMHeadModel(config)
    else:
        sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
        network = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                num_attention_heads=4, max_position_embeddings=64, initializer_range=0.06, **sizes, **common
            )
        )
    model = LanguageModel(network.eval(), tokens, PromptTemplate("qa"))
    fit(model, known, epochs=60, batch=16, lr=1e-2, seed=0)
    return model


@pytest.fixture(scope="session")
def knowing() -> LanguageModel:
    """Return a Llama of two layers that knows both sides."""
    return fitted("llama", [*FORGET, *RETAIN])


@pytest.fixture(scope="session")
def knowing_gpt2() -> LanguageModel:
    """Return a GPT-2 of two layers that knows both sides."""
    return fitted("gpt2", [*FORGET, *RETAIN])


@pytest.fixture(scope="session")
def base_and_adapted() -> tuple[LanguageModel, LanguageModel]:
    """Return a Llama that knows the retain side, and it with an adapter that has learned the forget side."""
    base = fitted("llama", RETAIN)
    adapted = base.clone()
    budget = Budget(lr=1e-2, steps=60, retain_weight=0.0)
    train(adapted, NLL(), FORGET, (), budget, scope=Scope("lora", rank=8), seed=0)
    return base, adapted


def recall(model: LanguageModel, wanted: list[Example]) -> float:
    """Return the mean probability of the whole answer."""
    probes = [Probe(e.key, "home", e.question, e.answer) for e in wanted]
    return float(np.mean([np.exp(s.logp.sum()) for s in score(model, probes)]))


def weights(model: LanguageModel) -> dict[str, torch.Tensor]:
    """Return copies of all tensors, by names without an adapter's prefixes."""
    return {
        name.replace("base_model.model.", "").replace(".base_layer", ""): tensor.detach().clone()
        for name, tensor in model.network.state_dict().items()
    }


@pytest.fixture(scope="session")
def lab() -> SimpleNamespace:
    """Return the two sides and what can be asked of a model."""

    def run(text: str, model: LanguageModel, seed: int = 0) -> LanguageModel:
        return run_recipe(parse_recipe(text), model, FORGET, RETAIN, seed)

    return SimpleNamespace(forget=FORGET, retain=RETAIN, run=run, recall=recall, weights=weights)
