"""Every random draw has a name: ``derive(seed, "relearn", "half")`` is the same in every process."""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int | str, *names: object) -> int:
    """Return a 63-bit seed that depends on ``seed`` and every name, in order."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int | str, *names: object) -> np.random.Generator:
    """Return a NumPy generator seeded by ``derive(seed, *names)``."""
    return np.random.default_rng(derive(seed, *names))
