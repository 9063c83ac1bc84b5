"""Activations of a block computed again in the backward pass instead of kept until then.

Chen et al. 2016, arXiv:1604.06174. With a frozen base the weights have neither gradients nor moments, so that what a
step keeps for its backward pass is most of its memory. The same operations run on the same inputs: gradients are
the same bit by bit. It costs one more forward pass, about a third of a LoRA step's time, hence only above a size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from audit.core.lazy import lazy
from audit.models.language_model import LanguageModel
from audit.models.layers import blocks

checkpoint = lazy("torch.utils.checkpoint")

LARGE = 100_000_000  # weights of a frozen base from which memory is dearer than time


def recomputes(model: LanguageModel) -> bool:
    """Return whether training computes ``model``'s activations again: an adapter on a base of ``LARGE`` weights."""
    return model.has_adapter and model.parameters_count >= LARGE


@contextlib.contextmanager
def recomputed(model: LanguageModel) -> Iterator[None]:
    """Let forward passes with a graph keep each block's input alone, where ``recomputes`` says so.

    A backward pass may come later: it computes again what it needs. Outside, the network is as it was.
    """
    stack = list(blocks(model.network)) if recomputes(model) else []
    own = [vars(block).get("forward") for block in stack]  # somebody else may have set one
    for block in stack:
        # Networks train without dropout (eval mode): there is no random state to bring back.
        block.forward = partial(
            checkpoint.checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False
        )
    try:
        yield
    finally:
        for block, forward in zip(stack, own, strict=True):
            if forward is None:
                del block.forward
            else:
                block.forward = forward
