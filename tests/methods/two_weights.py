"""A run of two weights for step transforms: gradients go in by hand and come out as numbers."""

from __future__ import annotations

import torch

from audit.methods.base import STEPS
from audit.models.update import Update


class Run:
    """The part of a run's context that steps use."""

    def __init__(self):
        self.forget, self.retain = "forget batch", "retain batch"
        self.forget_examples = ()
        self.notes = {}
        self.dice = torch.Generator().manual_seed(0)

    def remember(self, name, build):
        if name not in self.notes:
            self.notes[name] = build()
        return self.notes[name]

    def generator(self, name):
        return self.dice

    def end(self):
        pass


def update(weights=(0.0, 0.0), term=None, optimizer=None):
    parameter = torch.nn.Parameter(torch.tensor(weights, dtype=torch.float32))
    return Update(Run(), {"w": parameter}, optimizer, term)


def transformed(text, forget, retain, on=None):
    """Return both gradients after the step as lists of numbers."""
    pair = [[torch.tensor(g, dtype=torch.float32)] for g in (forget, retain)]
    out = STEPS.build(text).transform(on or update(), *pair)
    return [side[0].tolist() for side in out]
