"""Random networks for the tests of this folder."""

from __future__ import annotations

import torch
import transformers

from audit.models.load import quiet

ARCHITECTURES = ("llama", "gpt2", "gpt_neox", "qwen2")


def random_network(architecture: str, vocabulary: int, seed: int = 0):
    """A network of two blocks and width 64 with weights large enough to have opinions."""
    # Rows to spare: transformers adds tokens of its own to whatever tokenizer lies beside a Qwen.
    wide = {
        "vocab_size": vocabulary + (8 if architecture == "qwen2" else 0),
        "bos_token_id": None,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    configs = {
        "llama": lambda: transformers.LlamaConfig(**wide, **sizes, tie_word_embeddings=True),
        "gpt2": lambda: transformers.GPT2Config(**wide, n_embd=64, n_layer=2, n_head=4, n_positions=128),
        "gpt_neox": lambda: transformers.GPTNeoXConfig(**wide, **sizes),
        "qwen2": lambda: transformers.Qwen2Config(**wide, **sizes, num_key_value_heads=2),
    }
    with quiet():
        config = configs[architecture]()
        config.initializer_range = 0.2
        torch.manual_seed(seed)
        return transformers.AutoModelForCausalLM.from_config(config).eval()
