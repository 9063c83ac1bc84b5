"""The toy on which closed forms are derived: one answer of two tokens over five words.

The answer is (word 0, word 1). Now p = (1/2, 1/8, 1/8, 1/8, 1/8) at its first token and (1/4, 1/4, 1/8, 1/8,
1/4) at its second, so the answer's tokens have p = 1/2 and 1/4, l = ln 2 + ln 4 = 3 ln 2, p(answer) = 1/8.
At the start p0(answer) = 3/8, and the starting distributions are uniform unless a test sets them. The refusal
has p = 1/25 now (two uniform words), 1/100 then.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, field

import pytest
import tokenizers
import torch
import transformers

from audit.methods.base import METHODS
from audit.models.language_model import LanguageModel, PromptTemplate
from audit.models.training import Context, Example

NOW = torch.tensor([[1 / 2, 1 / 8, 1 / 8, 1 / 8, 1 / 8], [1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 4]]).log()
ANSWER = 3 * math.log(2)
UNIFORM = torch.full((2, 5), 1 / 5).log()


@dataclass
class Sequence:
    """A batch of one sequence with two answer tokens."""

    name: str
    rows: torch.Tensor = field(default_factory=lambda: torch.tensor([0, 0]))
    targets: torch.Tensor = field(default_factory=lambda: torch.tensor([0, 1]))

    def __len__(self):
        return 1


class Toy:
    """A context with one sequence; ``answer`` and ``refusal`` are the only batches there are."""

    def __init__(self, nll=ANSWER):
        now = torch.tensor([nll], dtype=torch.float64, requires_grad=True)
        self.nlls = {"answer": now, "refusal": torch.tensor([math.log(25)], dtype=torch.float64)}
        self.starts = {
            "answer": torch.tensor([math.log(8 / 3)], dtype=torch.float64),
            "refusal": torch.tensor([math.log(100)]),
        }
        self.logits = {"answer": NOW + 3.0, "refusal": UNIFORM.clone()}  # logits are free up to a constant
        self.start = UNIFORM
        self.step, self.steps, self.seed = 0, 60, 0
        self.notes = {}

    def nll(self, batch):
        return self.nlls[batch.name]

    def mean_nll(self, batch):
        return self.nlls[batch.name].sum() / 2

    def reference_nll(self, batch):
        return self.starts[batch.name]

    def refusals(self, batch):
        return Sequence("refusal")

    def answer_logits(self, batch):
        return self.logits[batch.name], batch.targets, batch.rows

    def reference_logits(self, batch):
        return self.start

    def remember(self, name, build):
        if name not in self.notes:
            self.notes[name] = build()
        return self.notes[name]


@pytest.fixture
def batch():
    return Sequence("answer")


@pytest.fixture
def toy():
    return Toy()


@pytest.fixture
def toy_at():
    """Return a toy whose answer has another nll."""
    return Toy


@pytest.fixture
def forget(toy, batch):
    """Return the forget term of a method text on the toy as a number."""
    return lambda text, toy=toy: METHODS.build(text).forget_term(toy, batch).item()


@pytest.fixture
def retain(toy, batch):
    """Return the retain term of a method text on the toy as a number."""
    return lambda text, toy=toy: METHODS.build(text).retain_term(toy, batch).item()


class Activations:
    """Two tokens of a three-wide layer and one of padding, which started at (3, 4, 0) and (0, 0, 1)."""

    def __init__(self):
        self.now = torch.tensor([[[3.0, 4.0, 0.0], [0.0, 0.0, 4.0], [9.0, 9.0, 9.0]]])
        self.mask = torch.tensor([[True, True, False]])
        self.notes = {}

    def hidden(self, batch, layer):
        return self.now, self.mask

    def reference_hidden(self, batch, layer):
        return torch.tensor([[[3.0, 4.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]])

    def batch(self, examples):
        return self

    remember = Toy.remember


@pytest.fixture
def activations(monkeypatch):
    """Return a context of activations; block 0, and the random direction is (0.6, 0.8, 0)."""
    for name in ("rmu", "rmu_adaptive", "srmu", "kuda"):
        module = importlib.import_module(f"audit.methods.objectives.{name}")
        monkeypatch.setattr(module, "block_at", lambda context, depth: 0)
        monkeypatch.setattr(module, "direction", lambda context, hidden: torch.tensor([0.6, 0.8, 0.0]))
    return Activations()


FORGET = [
    Example(f"f{i}/home/plain", "where " * (i + 1), f"w{i}" + f" w{2 * i + 9}" * (i % 3)) for i in range(5)
]
RETAIN = [Example(f"r{i}/home/plain", "where now " * (i + 1), f"w{i + 40} w{i}") for i in range(4)]


def network(seed):
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=124,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.4,  # far from uniform, so that no two formulas agree by chance
        bos_token_id=None,
        eos_token_id=1,
    )
    return transformers.LlamaForCausalLM(config).eval()


@pytest.fixture
def away():
    """Return a context whose model has moved from where the starting model was captured.

    A random Llama with 124 words; ``needs`` as an objective names them.
    """

    def prepared(needs):
        words = ["<unk>", "</s>", "Q", ":", "A", "where", "now", "?", *(f"w{i}" for i in range(116))]
        raw = tokenizers.Tokenizer(
            tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
        )
        raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        tokens = transformers.PreTrainedTokenizerFast(
            tokenizer_object=raw, eos_token="</s>", unk_token="<unk>"
        )
        model = LanguageModel(network(0), tokens, PromptTemplate("qa"))
        context = Context(model, FORGET, RETAIN, seed=0)
        context.prepare(needs, keep_reference=True)
        model.network.load_state_dict(network(1).state_dict())
        model.network.requires_grad_(True)
        return context

    return prepared


@pytest.fixture
def starting_network():
    """Return the network that ``away`` has moved from."""
    return network(0)
