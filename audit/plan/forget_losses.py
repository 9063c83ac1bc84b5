"""Per-unit forgetting losses of every configuration in one cell, by name; None where they have no meaning there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from audit.plan.cube import Cube
from audit.plan.settings import Settings
from audit.risk import losses

FRACTION_METRIC = "extraction_strength"  # what residual_knowledge compares
OF_SECRETS = frozenset({"recovered", "leak_at_k"})
"""Losses that are read from secrets alone; the others from every probe."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One (attack, dose) of a cube, seen from some units.

    ``units`` (n,) rows of the cube in audit order, ``half`` (n,) their cross-fitting half, ``twins`` (m,) rows of the
    threshold twins, ``references`` maps role to its row on the configuration axis, ``listed`` the rows of all forget
    units.
    """

    cube: Cube
    index: int
    units: np.ndarray
    half: np.ndarray
    twins: np.ndarray
    references: dict[str, int]
    settings: Settings
    fold: int | None = (
        None  # only rows of this fold (and of 0); None: a forget unit has rows in one fold anyway
    )
    listed: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def asked(self) -> np.ndarray:
        """(n, P) bool: probes that this attack can ask."""
        return self.cube.exists[self.units] & ~self.cube.not_asked[self.index][self.units]

    def values(self, metric: str) -> np.ndarray:
        """(C, n, P) values of a metric on the units."""
        return self.cube.values(metric, fold=self.fold)[:, self.index][:, self.units]

    def twin_values(self, metric: str, half: int) -> np.ndarray:
        """(C, m, P) values of a metric on the twins, in the model that held ``half`` out."""
        return self.cube.values(metric, fold=half)[:, self.index][:, self.twins]


def yielded(cell: Cell) -> np.ndarray:
    """(C, n, P) 1 where a probe yields its answer, teacher-forced or by generation where it was generated."""
    forced, spoken = cell.values("forced_match"), cell.values("exact_match")
    return np.where(np.isnan(forced), np.nan, np.fmax(forced, spoken))


def recovered(cell: Cell) -> np.ndarray | None:
    """(C, n) 1 where a secret is yielded."""
    asked = cell.asked & cell.cube.secret[cell.units]
    return np.stack([losses.recovered(hits, asked) for hits in yielded(cell)]) if asked.any() else None


def leak_at_k(cell: Cell) -> np.ndarray | None:
    """(C, n) chance that k rounds of drawing one answer to every question yield a secret; graded.

    Estimated without bias from the M >= k draws of a sampling attack (arXiv:2107.03374, eq. 1; arXiv:2511.04934):
    a unit leaks in draw m if some secret of it is yielded in draw m. NaN with fewer than k announced draws. A cell
    without draws asks always for the same answer: there the chance is 0 or 1, which is ``recovered``.
    """
    asked = cell.asked & cell.cube.secret[cell.units]
    if cell.cube.samples[cell.index] == 1:
        return recovered(cell)
    if not asked.any():
        return None
    drawn = cell.cube.draws("exact_match", cell.index)[:, cell.units]  # (C, n, P, M)
    if drawn.shape[3] < cell.settings.k:
        return np.full(drawn.shape[:2], np.nan)
    return np.stack([_leak_at_k(hits, asked, cell.settings.k) for hits in drawn])


def answered(cell: Cell) -> np.ndarray | None:
    """(C, n) 1 where some probe is answered with ROUGE-L recall of at least tau."""
    scores = cell.values("rouge_l_recall")
    if np.isnan(scores).all():
        return None
    return np.stack([losses.answered(values, cell.settings.tau, cell.asked) for values in scores])


def above_twins(cell: Cell) -> np.ndarray | None:
    """(C, n) 1 where the mean log-likelihood of a unit's answers lies above the threshold of its half's twins."""
    return _against_twins(cell, lambda scores, twins, asked: _above(scores, twins, asked, cell.settings.beta))


def over_forgotten(cell: Cell) -> np.ndarray | None:
    """(C, n) 1 where it lies below nearly all twins, or far below where the retrained model has it.

    Twins collapse with a model that collapses, the retrained model does not.
    """
    beta = cell.settings.beta
    beside_twins = _against_twins(
        cell, lambda scores, twins, asked: losses.over_forgotten(scores, twins, beta, asked)
    )
    kinds = [found for found in (beside_twins, _below_retrained(cell)) if found is not None]
    if not kinds:
        return None
    return np.where(np.any([found == 1 for found in kinds], axis=0), 1.0, np.max(kinds, axis=0))


def residual_knowledge(cell: Cell) -> np.ndarray | None:
    """(C, n) share of the knowledge still there between the attacked retrained model and the original."""
    if not {"original", "retrained"} <= set(cell.references):
        return None
    found = cell.values(FRACTION_METRIC)
    if np.isnan(found).all():
        return None
    reference = found[cell.references["retrained"]]
    known = cell.cube.values(FRACTION_METRIC)[cell.references["original"], _unattacked(cell.cube)][cell.units]
    return np.stack([losses.residual_knowledge(values, reference, known, cell.asked) for values in found])


def froc(cell: Cell) -> np.ndarray | None:
    """(C, n) FROC's soft margin against the retrained model under the same attack."""
    if "retrained" not in cell.references:
        return None
    nll, accuracy = cell.values("nll"), cell.values("exact_memorization")
    if np.isnan(nll).all() or np.isnan(accuracy).all():
        return None
    at = cell.references["retrained"]
    return np.stack(
        [losses.froc(n, a, nll[at], accuracy[at], cell.asked) for n, a in zip(nll, accuracy, strict=True)]
    )


FORGET_LOSSES: dict[str, Callable[[Cell], np.ndarray | None]] = {
    function.__name__: function
    for function in (recovered, leak_at_k, answered, above_twins, over_forgotten, residual_knowledge, froc)
}


def _leak_at_k(hits: np.ndarray, asked: np.ndarray, k: int) -> np.ndarray:
    """(n,) of one configuration; ``hits`` (n, P, M)."""
    leaks = np.stack([losses.recovered(hits[:, :, m], asked) for m in range(hits.shape[2])], axis=1)
    return losses.leak_at_k(leaks, k)


def _above(scores: np.ndarray, twins: np.ndarray, asked: np.ndarray, beta: float) -> np.ndarray:
    return losses.above_twins(scores, losses.twin_threshold(twins, beta), asked)


def _against_twins(
    cell: Cell, judge: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray | None:
    if not losses.enough_twins(len(cell.twins), cell.settings.beta):
        return None  # no unit could ever fail; as a primary loss the plan has refused it
    scores = -cell.values("nll")
    out = np.full(scores.shape[:2], np.nan)
    asked_twins = cell.cube.exists[cell.twins]
    for half in np.unique(cell.half):
        twins = -cell.twin_values("nll", int(half))
        if np.isnan(twins).all():
            return None  # twins were not scored at this dose
        chosen = cell.half == half
        for row in range(len(scores)):
            pooled = losses.unit_scores(twins[row], asked_twins)
            if not np.isnan(pooled).all():
                out[row, chosen] = judge(scores[row][chosen], pooled, cell.asked[chosen])
    return out


def _below_retrained(cell: Cell) -> np.ndarray | None:
    """(C, n) 1 where a unit lies below the retrained model's value by more than strangers lie apart there.

    Strangers are the twins under the same attack, or without enough of them everybody on the forget list, unattacked.
    """
    if "retrained" not in cell.references:
        return None
    row, beta = cell.references["retrained"], cell.settings.beta
    scores = -cell.values("nll")
    out = np.full(scores.shape[:2], np.nan)
    for half in np.unique(cell.half):
        chosen = cell.half == half
        twins = losses.unit_scores(-cell.twin_values("nll", int(half))[row], cell.cube.exists[cell.twins])
        spread = losses.natural_spread(twins, beta)
        spread = spread if np.isfinite(spread) else losses.natural_spread(_list_scores(cell, row), beta)
        if not np.isfinite(spread):
            return None
        for one in range(len(scores)):
            out[one, chosen] = losses.below_retrained(
                scores[one][chosen], scores[row][chosen], spread, cell.asked[chosen]
            )
    return None if np.isnan(out).all() else out


def _list_scores(cell: Cell, row: int) -> np.ndarray:
    """(N,) pooled unattacked scores of the forget list under one configuration."""
    found = -cell.cube.values("nll")[row, _unattacked(cell.cube)][cell.listed]
    return losses.unit_scores(found, cell.cube.exists[cell.listed])


def _unattacked(cube: Cube) -> int:
    return cube.cells.index(("none", 0.0))
