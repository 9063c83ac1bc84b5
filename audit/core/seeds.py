"""Every random draw has a name: ``derive(seed, "relearn", "half")`` is the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def derive(seed: int | str, *names: object) -> int:
    """Return a 63-bit seed that depends on ``seed`` and every name, in order."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int | str, *names: object) -> np.random.Generator:
    """Return a NumPy generator seeded by ``derive(seed, *names)``."""
    return np.random.default_rng(derive(seed, *names))


def some(items: Sequence[T], count: int, seed: int | str, *names: object) -> list[T]:
    """Return at most ``count`` of the items in the given order, chosen by ``derive(seed, *names)``."""
    chosen = generator(seed, *names).permutation(len(items))[:count]
    return [items[index] for index in sorted(chosen)]
