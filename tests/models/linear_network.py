"""A linear network with the parts of a causal transformer: every effect of a part can be counted by hand."""

from __future__ import annotations

from types import SimpleNamespace

import torch


class Past(torch.nn.Module):
    """Attention without softmax: the mean of all tokens up to here, through a matrix; a tuple, as transformers has."""

    def __init__(self, width):
        super().__init__()
        self.out = torch.nn.Linear(width, width, bias=False)

    def forward(self, hidden):
        steps = torch.arange(1, hidden.shape[1] + 1, dtype=hidden.dtype)[:, None]
        return self.out(hidden.cumsum(1) / steps), None


class Block(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attn, self.mlp = Past(width), torch.nn.Linear(width, width, bias=False)

    def forward(self, hidden):
        hidden = hidden + self.attn(hidden)[0]
        return hidden + self.mlp(hidden)


class Body(torch.nn.Module):
    def __init__(self, vocabulary, width, depth):
        super().__init__()
        self.embed = torch.nn.Embedding(vocabulary, width)
        self.h = torch.nn.ModuleList([Block(width) for _ in range(depth)])

    def forward(self, input_ids, attention_mask=None, use_cache=False):
        hidden = self.embed(input_ids)
        for block in self.h:
            hidden = block(hidden)
        return SimpleNamespace(last_hidden_state=hidden)


class LinearNetwork(torch.nn.Module):
    """``depth`` blocks of ``width``, weights float64 from ``seed``."""

    def __init__(self, vocabulary, width=6, depth=2, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.base_model = Body(vocabulary, width, depth)
        self.unembed = torch.nn.Linear(width, vocabulary, bias=False)
        text = SimpleNamespace(num_hidden_layers=depth)
        self.config = SimpleNamespace(get_text_config=lambda: text)
        self.double()

    def get_input_embeddings(self):
        return self.base_model.embed

    def get_output_embeddings(self):
        return self.unembed
