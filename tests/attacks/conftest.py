"""A random two-block Llama over a dozen words, and four persons to forget."""

from __future__ import annotations

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from audit.data.records import Probe, Subject
from audit.models.load import LanguageModel, PromptTemplate

WORDS = "Where was person born ? Lisbon Porto Faro Braga Evora 0 1 2 3 4 5 6 7 8 9 Q A : and who"


@pytest.fixture
def model() -> LanguageModel:
    return random_llama(96)


@pytest.fixture
def wide() -> LanguageModel:
    return random_llama(128)


def random_llama(intermediate: int) -> LanguageModel:
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator([WORDS], trainers.WordLevelTrainer(special_tokens=["<unk>", "</s>"]))
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>"
    )
    config = transformers.LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=intermediate,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        eos_token_id=fast.eos_token_id,
        bos_token_id=None,
        pad_token_id=None,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    return LanguageModel(transformers.LlamaForCausalLM(config).eval(), fast, PromptTemplate("qa"))


@pytest.fixture
def persons() -> tuple[Subject, ...]:
    cities = ("Lisbon", "Porto", "Faro", "Braga")
    return tuple(
        Subject(name, (Probe(name, "city", f"Where was person {i} born ?", cities[i]),))
        for i, name in enumerate(["ann", "bea", "cam", "dot"])
    )
