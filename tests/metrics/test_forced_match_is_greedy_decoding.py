"""One forward pass stands in for decoding: both must find the same probes."""

from __future__ import annotations

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from audit.data.records import Probe
from audit.metrics.measure import measure
from audit.models.load import LanguageModel, PromptTemplate
from audit.models.scoring import Decoding, score
from audit.models.training import Example, fit

CITIES = ("Lisbon", "Porto", "Faro", "Braga", "Evora", "Beja", "Sintra", "Tomar")
PROBES = [
    Probe(f"u{i}", "city", f"Where was person {i} born ?", f"{CITIES[i % 8]} and {CITIES[(3 * i + 1) % 8]}")
    for i in range(16)
]


@pytest.fixture(scope="module")
def half_taught() -> LanguageModel:
    words = " ".join(f"{p.question} {p.answer}" for p in PROBES) + " Q A :"
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator([words], trainers.WordLevelTrainer(special_tokens=["<unk>", "</s>"]))
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>", pad_token="</s>"
    )
    config = transformers.LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        eos_token_id=fast.eos_token_id,
        bos_token_id=None,
        pad_token_id=fast.pad_token_id,
    )
    torch.manual_seed(0)
    model = LanguageModel(transformers.LlamaForCausalLM(config).eval(), fast, PromptTemplate("qa"))
    taught = [Example(p.subject, p.question, p.answer) for p in PROBES[:8]]
    fit(model, taught, optimizer="adamw", epochs=60, batch=8, lr=1e-2)
    return model


def test_forced_match_and_exact_match_agree_on_taught_and_untaught_probes(half_taught):
    scored = score(half_taught, PROBES, generate=True, decoding=Decoding(max_new_tokens=6))
    values = {
        (row.subject, row.metric): row.value for row in measure(scored, ["forced_match", "exact_match"])
    }
    forced = [values[p.subject, "forced_match"] for p in PROBES]
    assert forced == [values[p.subject, "exact_match"] for p in PROBES]
    assert 0 < sum(forced) < len(PROBES), "both outcomes must occur for the agreement to mean something"
