"""Checkpoints of one training: what the weights are after each of some steps.

Nothing of the training depends on who looks on, so the weights handed over after step n are those of the same
training ended there, bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audit.models.context import Context
from audit.models.language_model import LanguageModel


@dataclass(frozen=True)
class Checkpoints:
    """A callback that hands the model over after each of ``steps``, counted from 1, and ends the run at the last.

    ``keep`` gets the step and the model in training; it may read the weights and must not change them.
    """

    steps: tuple[int, ...]
    keep: Callable[[int, LanguageModel], None] = lambda step, model: None

    def after_step(self, context: Context) -> bool:
        """Return whether the last checkpoint is reached."""
        done = context.step + 1
        if done in self.steps:
            self.keep(done, context.model)
        return done >= max(self.steps)
