"""What was measured on tune units: outside every claim, so a program may learn from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.plan.assemble import Assembly
from audit.plan.cube import Cell

TUNE = ("tune",)


@dataclass(frozen=True, eq=False)
class Tuned:
    """Losses of the candidates on tune units.

    ``rows``: candidate -> row, of those measured on both sides; ``forget`` (C, n) losses under each
    candidate's worst attack, ``utility`` (C, m); NaN where a unit has no score under one candidate, though it
    has under others. ``cells``: the attacks and doses measured.
    """

    rows: dict[str, int]
    forget: np.ndarray
    utility: np.ndarray
    cells: tuple[Cell, ...]


def tuned(assembly: Assembly) -> Tuned | None:
    """Return the tune losses; None where no tune unit of both sides was scored."""
    tables = assembly.deciding(assembly.candidates, TUNE)
    pairs = list(zip(tables.promises, (c.losses for c in tables.table.clauses), strict=True))
    attacks = [(p, losses) for p, losses in pairs if p.side == "forget" and not np.isnan(losses).all()]
    harm = _scored([losses for p, losses in pairs if p.side == "retain"])
    lost = _scored([losses for _, losses in attacks])
    if not (harm.size and lost.size):
        return None
    there = np.flatnonzero(~np.isnan(harm[0]).all(axis=1) & ~np.isnan(lost).all(axis=2).any(axis=0))
    names = {assembly.candidates[row]: place for place, row in enumerate(there)}
    cells = tuple(dict.fromkeys((p.attack, p.dose) for p, _ in attacks))
    return Tuned(names, _worst(lost)[there], harm[0][there], cells) if names else None


def _scored(clauses: list[np.ndarray]) -> np.ndarray:
    """Return (A, C, n) losses on the units that every clause scored under some candidate."""
    losses = np.array(clauses)
    return losses[:, :, ~np.isnan(losses).all(axis=1).any(axis=0)] if len(losses) else losses


def _worst(losses: np.ndarray) -> np.ndarray:
    """Return (C, n): each candidate under the attack with its largest mean, a missing score counting as 1."""
    worst = np.nan_to_num(losses, nan=1.0).mean(axis=2).argmax(axis=0)
    return losses[worst, np.arange(losses.shape[1])]
