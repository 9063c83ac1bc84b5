"""What attacks share that optimise their prompt: whom it is optimised for, and who is asked with it then.

``persons``: on one half of the forgotten persons, asked about the other, both ways; no tested answer is ever looked at,
so what comes back was in the weights. ``own``: on the very answer that is asked for. A model can be made to say almost
anything that way (Rando et al. 2025, arXiv:2502.15836), so that it can say a secret proves nothing by itself; the same
effort spent on the twins, whose answers are random strings of the same form, shows what it is worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np

from audit.attacks import arms
from audit.attacks.arms import Arm
from audit.attacks.base import AttackContext
from audit.data.records import Probe
from audit.models.training import Example

Target = Literal["persons", "own"]

PASS_SEQUENCES = 1000  # size of the scoring pass in which ``cost`` is counted
BOTH_HALVES = 2  # trainings of a cross-fitted attack


def check_target(target: str) -> None:
    """Raise ValueError for a target that does not exist."""
    if target not in get_args(Target):
        raise ValueError(f"target must be one of {', '.join(get_args(Target))}, got {target!r}")


def whole(name: str, value: Any, least: int = 1) -> None:
    """Raise ValueError unless ``value`` is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def ascending(steps: Any) -> tuple[int, ...]:
    """Return numbers of steps as a tuple; ValueError unless they are whole, at least 0 and ascend."""
    listed = tuple(steps) if isinstance(steps, list | tuple) else (steps,)
    if not listed:
        raise ValueError("steps must not be empty")
    for number in listed:
        whole("steps", number, least=0)
    if any(later <= earlier for earlier, later in pairwise(listed)):
        raise ValueError(f"steps must ascend, got {list(listed)}")
    return listed


def halves(probes: Sequence[Probe], context: AttackContext) -> Iterator[Arm]:
    """Yield what to optimise on and whom to ask then, for each half that somebody is asked of."""
    yield from (arm for arm in arms.persons(probes, context, context.seed) if arm.asked)


def example(probe: Probe) -> Example:
    """Return a probe as a sequence to optimise on."""
    return Example(f"{probe.subject}/{probe.probe}/{probe.form}", probe.question, probe.answer)


def some(examples: Sequence[Example], number: int, random: np.random.Generator) -> list[Example]:
    """Return ``number`` examples, or all where there are fewer, drawn without repetition."""
    return [examples[i] for i in random.permutation(len(examples))[:number]]
