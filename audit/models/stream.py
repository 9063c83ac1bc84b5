"""Which sequences a step sees: shuffled epochs without end, each sequence as often as its weight says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from audit.models.batches import Example


def stream(
    examples: Sequence[Example],
    size: int,
    dice: np.random.Generator,
    weigh: Callable[[int], np.ndarray] | None = None,
    luck: np.random.Generator | None = None,
) -> Iterator[list[Example]]:
    """Yield batches of shuffled epochs without end; an epoch ends early where a step's weights differ from its own."""
    queue: list[int] = []
    weights = np.ones(len(examples))
    for step in itertools.count():
        wanted = weigh(step) if weigh else weights
        if not np.array_equal(wanted, weights):
            queue, weights = [], wanted
        while len(queue) < size:
            epoch = copies(weights, luck) if luck else np.arange(len(examples))
            queue += epoch[dice.permutation(len(epoch))].tolist()
        yield [examples[index] for index in queue[:size]]
        queue = queue[size:]


def copies(weights: np.ndarray, luck: np.random.Generator) -> np.ndarray:
    """Return F indices, each as often as its weight in expectation: the weight rounded down or up.

    Systematic sampling, so that whole weights are met exactly.
    """
    ends = np.cumsum(weights)
    ends[-1] = len(weights)
    start = (luck.integers(1 << 20) + 0.5) / (1 << 20)  # rounding of a sum never reaches a whole number
    counts = np.diff(np.floor(ends + start), prepend=0.0).astype(int)
    return np.repeat(np.arange(len(weights)), counts)
