"""A model that knows sixteen answers by heart, for what is held against every step, edit and post-calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from audit.models.sliced import SlicedTraining, base_of, parts_of
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
TUNE = 6  # of the retain sequences: what a post-calibration may look at


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """Return a tokenizer whose words are those of all questions and answers."""
    names = [f"{side}{i}" for side in "fr" for i in range(8)]
    words = ["Q", ":", "A", "where", "does", "now", "live", "?", "<unk>", "</s>", *names, *COLOURS]
    raw = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="<unk>")


def fitted(architecture: str, known: list[Example]) -> LanguageModel:
    tokens = tokenizer()
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


@dataclass(frozen=True)
class InSlices:
    """A training that can be done again: a frozen base, a slice of strangers to the request, one with the forgotten."""

    base: LanguageModel
    how: SlicedTraining
    known: list[Example]
    before: list[Example]
    late: list[Example]

    def again(self, *, with_forgotten: bool, seed: int) -> LanguageModel:
        how = replace(self.how, seed=seed)
        return how.fit(self.base, self.known, self.slices(with_forgotten))

    def resume(self, model: LanguageModel, *, with_forgotten: bool) -> LanguageModel:
        kept = parts_of(model, [True, True])[: 2 if with_forgotten else 1]
        return self.how.fit(base_of(model), self.known, self.slices(with_forgotten), kept)

    def slices(self, with_forgotten: bool) -> list[list[Example]]:
        return [self.before, [*(FORGET if with_forgotten else []), *self.late]]


@pytest.fixture(scope="session")
def in_slices() -> LanguageModel:
    """Return a Llama that knows both sides, and how it was trained: most of the retain side, then two slices."""
    how = SlicedTraining(rank=8, epochs=60, batch=8, lr=5e-3, seed=0)
    training = InSlices(fitted("llama", RETAIN[:6]), how, RETAIN[:6], RETAIN[6:7], RETAIN[7:])
    return replace(training.again(with_forgotten=True, seed=0), training=training)


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
    """Return the two sides, what can be asked of a model and what models are made of."""

    def run(text: str, model: LanguageModel, seed: int = 0) -> LanguageModel:
        return run_recipe(parse_recipe(text), model, FORGET, RETAIN, seed, tune=RETAIN[:TUNE])

    return SimpleNamespace(
        forget=FORGET,
        retain=RETAIN,
        tune=RETAIN[:TUNE],
        run=run,
        recall=recall,
        weights=weights,
        tokenizer=tokenizer,
        in_slices=InSlices,
    )
