"""Which projection a weight belongs to, by its name, with or without an adapter."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from audit.models.layers import linears

_NAME = re.compile(r"(?:base_model\.model\.)?(.+?)(?:\.base_layer|\.(lora_[AB])\.[^.]+)?\.(weight|bias)$")


class Place(NamedTuple):
    """A weight's module, named as ``linears`` names it, and its role there: weight, bias, lora_A or lora_B."""

    module: str
    role: str


def place(name: str) -> Place:
    """Return where a named parameter of a network, or of its PEFT wrapper, belongs."""
    match = _NAME.match(name)
    return Place(match[1], match[2] or match[3]) if match else Place(name, "")


def output_axis(network: Any, name: str) -> int:
    """Return the axis of a weight matrix along which its output units lie: 1 for GPT-2's Conv1D, else 0."""
    found = place(name)
    flipped = {linear.name for linear in linears(network) if linear.transposed}
    return int(found.role == "weight" and found.module in flipped)


def input_axis(network: Any, name: str) -> int:
    """Return the axis of a weight matrix along which its inputs lie."""
    return 1 - output_axis(network, name)
