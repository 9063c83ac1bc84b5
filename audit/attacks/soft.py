"""Continuous tokens in front of a prompt, and their training: weights stay as they are.

Lester et al. 2021, arXiv:2104.08691. A soft token has an id beyond the vocabulary; hooks on the embedding layer put its
vector in the id's place, so that scoring and generation need not know. Question by question, or one prompt for all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.core.lazy import lazy
from audit.models.batches import Example, autocast, collate, forward_answer_logits, nll_by_row
from audit.models.layers import text_config
from audit.models.load import Encoded, LanguageModel

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@dataclass
class Prompted(LanguageModel):
    """A model that is asked with soft tokens in front; it shares the network of ``plain``.

    ``rows``: question -> which soft prompt stands in front of it; None: the same one in front of all.
    ``tokens``: soft tokens of one prompt. Only meaningful while ``softened`` holds the network.
    """

    plain: LanguageModel | None = None
    tokens: int = 0
    rows: Mapping[str, int] | None = field(default=None)

    def encode_prompt(self, question: str) -> tuple[int, ...]:
        """Return soft tokens and the prompt's own."""
        assert self.plain is not None
        return (*self._front(question), *self.plain.encode_prompt(question))

    def encode(self, question: str, answer: str) -> Encoded:
        """Return soft tokens, prompt and answer; as ``LanguageModel.encode``."""
        assert self.plain is not None
        item = self.plain.encode(question, answer)
        self._check_length(len(item.ids) + self.tokens)
        return Encoded((*self._front(question), *item.ids), item.answer_start + self.tokens, item.eos)

    def fits(self, question: str, answer: str) -> bool:
        """Return whether the question has soft tokens of its own and fits the context behind them, with its answer."""
        assert self.plain is not None
        has_tokens = self.rows is None or question in self.rows
        return has_tokens and has_room(self.plain, question, answer, self.tokens)

    def _front(self, question: str) -> range:
        row = 0 if self.rows is None else self.rows[question]
        first = vocabulary(self.network) + row * self.tokens
        return range(first, first + self.tokens)


def prompted(model: LanguageModel, tokens: int, rows: Mapping[str, int] | None) -> Prompted:
    """Return ``model`` as it is asked with soft tokens."""
    return Prompted(model.network, model.tokenizer, model.prompt, plain=model, tokens=tokens, rows=rows)


def vocabulary(network: Any) -> int:
    """Return how many ids the embedding layer knows: the first soft token's id."""
    return network.get_input_embeddings().weight.shape[0]


def has_room(model: LanguageModel, question: str, answer: str, tokens: int) -> bool:
    """Return whether question and answer fit the context with so many more tokens."""
    limit = getattr(text_config(model.network), "max_position_embeddings", None)
    if not model.fits(question, answer):
        return False
    return limit is None or len(model.encode(question, answer).ids) + tokens <= limit


@contextlib.contextmanager
def softened(network: Any, vectors: Tensor) -> Iterator[None]:
    """Give ids beyond the vocabulary ``vectors``, shape (M, H), for a while; other ids notice nothing."""
    size, seen = vocabulary(network), []

    def before(_module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        seen[:] = [inputs[0]]
        return (inputs[0].clamp(max=size - 1), *inputs[1:])

    def after(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
        soft = seen[0] >= size
        if not bool(soft.any()):
            return output
        return output.index_put((soft,), vectors[seen[0][soft] - size].to(output.dtype))

    layer = network.get_input_embeddings()
    hooks = [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def initial(model: LanguageModel, number: int, random: np.random.Generator) -> Tensor:
    """Return ``number`` vectors, shape (number, H): rows of the embedding matrix drawn by chance."""
    table = model.network.get_input_embeddings().weight.detach().float()
    return table[torch.tensor(random.integers(table.shape[0], size=number), device=table.device)]


def scale(model: LanguageModel) -> float:
    """Return the root mean square of the embedding matrix, the unit of the learning rate."""
    return float(model.network.get_input_embeddings().weight.detach().float().square().mean().sqrt())


def descend(
    model: Prompted, vectors: Tensor, batches: Iterator[Sequence[Example]], lr: float
) -> Iterator[Tensor]:
    """Yield the vectors, shape (M, H), before the first of Adam's steps and after each; one batch a step.

    The loss is the sum over sequences of the answer's mean negative log-likelihood per token, so that prompts of
    different questions do not see each other.
    """
    moving = vectors.clone().requires_grad_()
    adam = torch.optim.Adam([moving], lr=lr)
    for examples in batches:
        yield moving.detach().clone()
        items = [model.encode(one.question, one.answer) for one in examples]
        batch = collate(examples, [_bare(item) for item in items], model.device)
        with softened(model.network, moving), torch.enable_grad(), autocast(model):
            nll = nll_by_row(forward_answer_logits(model.network, batch).float(), batch)
            loss = (nll / torch.bincount(batch.rows, minlength=len(batch))).sum()
        (moving.grad,) = torch.autograd.grad(loss, moving)
        adam.step()


def _bare(item: Encoded) -> Encoded:
    """Return the sequence without its end token, which scores leave out too."""
    return Encoded(item.ids[: len(item.ids) - item.eos], item.answer_start, False)
