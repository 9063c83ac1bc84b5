"""The validity study on real losses: a complete matrix of units is the population, and audits are drawn from it.

The matrix's means are the truth, so whatever real losses look like (ties, clusters, configurations that fail
on the same units) is in the study. Budgets slide to just below true risks, where a false listing is likeliest.
Some units are dealt to tuning first: orders are learned on them, and on a list they leave the population.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audit.risk.bounds.base import build
from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.validation import batch
from audit.risk.validation.coverage import EDGE, drawn
from audit.risk.validation.families import listings

UNCORRECTED = "uncorrected tests"
_THEOREMS = {
    ("list", True): "hypergeometric",
    ("list", False): "betting_without_replacement",
    ("draws", True): "binomial",
    ("draws", False): "betting",
}


@dataclass(frozen=True, eq=False)
class Matrix:
    """Losses of every unit: ``forget`` (C, A, N) under A attacks, ``utility`` (C, 1, M); all in [0, 1].

    ``binary``: whether a loss can only be 0 or 1. A gap is refused: it has no truth.
    """

    label: str
    forget: np.ndarray
    utility: np.ndarray
    binary: bool

    def __post_init__(self) -> None:
        for side in (self.forget, self.utility):
            if side.ndim != 3 or len(side) != len(self.forget) or not bool(((side >= 0) & (side <= 1)).all()):
                raise ValueError(
                    f"{self.label}: losses must be (C, A, N) in [0, 1] without gaps, got {side.shape}"
                )
        if self.binary and not all(
            set(np.unique(side)) <= {0.0, 1.0} for side in (self.forget, self.utility)
        ):
            raise ValueError(f"{self.label}: declared 0/1, but some losses are graded")

    @property
    def risks(self) -> np.ndarray:
        """Return (C, 2): the true risk of the worst attack, and of utility."""
        return np.stack([self.forget.mean(axis=2).max(axis=1), self.utility.mean(axis=2)[:, 0]], axis=1)

    def budgets(self, forget: float, utility: float) -> list[tuple[float, float]]:
        """Return budgets just below each true risk, the other side's at ``forget`` or ``utility``."""
        risks = np.unique(np.round(self.risks[:, 0], 12)), np.unique(np.round(self.risks[:, 1], 12))
        slides = [(float(risk) - EDGE, utility) for risk in risks[0]]
        slides += [(forget, float(risk) - EDGE) for risk in risks[1]]
        return [pair for pair in slides if min(pair) > 0 and max(pair) < 1]


@dataclass(frozen=True)
class Drawing:
    """How an audit is drawn: ``units`` = (forget, utility) opened, after ``tune`` units on each side."""

    design: Literal["list", "draws"]
    units: tuple[int, int]
    tune: int = 40
    delta: float = 0.05


@dataclass(frozen=True)
class Outcome:
    """What one procedure did at one budget in ``replications`` audits.

    ``false``: audits that listed a configuration exceeding a budget; ``listed``: mean number listed that does
    not; ``valid``: mean number of configurations that keep both budgets.
    """

    procedure: str
    budgets: tuple[float, float]
    false: int
    listed: float
    valid: float
    replications: int


def resample(
    matrix: Matrix,
    drawing: Drawing,
    budgets: Sequence[tuple[float, float]],
    random: np.random.Generator,
    replications: int,
) -> list[Outcome]:
    """Return the outcome of every procedure, and of uncorrected tests, at every pair of budgets."""
    sides = (
        _open(matrix, matrix.forget, drawing, drawing.units[0], random, replications),
        _open(matrix, matrix.utility, drawing, drawing.units[1], random, replications),
    )
    names = [name for name in PROCEDURES.names() if name != "graph"]
    found = []
    for pair in budgets:
        p_values = np.maximum(*(side.p_values(budget) for side, budget in zip(sides, pair, strict=True)))
        bad = np.any([side.truth > budget for side, budget in zip(sides, pair, strict=True)], axis=0)
        excess = np.max([side.tuned - budget for side, budget in zip(sides, pair, strict=True)], axis=0)
        orders = np.argsort(excess, axis=1, kind="stable")
        listed = {name: listings(name, p_values, drawing.delta, orders) for name in names}
        listed[UNCORRECTED] = p_values <= drawing.delta
        found += [_outcome(name, pair, chosen, bad) for name, chosen in listed.items()]
    return found


@dataclass(frozen=True, eq=False)
class _Side:
    """One side of all replications: what was opened, what tuning showed, and the truth about the rest.

    ``opened``: losses (R, C, A, n) in random order, for 0/1 losses the numbers of failures (R, C, A).
    ``tuned``, ``truth``: (R, C) of the worst attack. ``left``: N of the list that the claim is about.
    """

    theorem: str
    delta: float
    n: int
    left: int | None
    binary: bool
    opened: np.ndarray
    tuned: np.ndarray
    truth: np.ndarray

    def p_values(self, budget: float) -> np.ndarray:
        """Return (R, C) p-values of "the risk of the worst attack exceeds the budget"."""
        bound = build(self.theorem, self.delta / self.opened.shape[1])
        if self.binary:
            return batch.p_by_count(bound, self.n, budget, self.left)[self.opened].max(axis=2)
        return batch.p_values(bound, self.opened, budget, self.left).max(axis=2)


def _open(
    matrix: Matrix,
    losses: np.ndarray,
    drawing: Drawing,
    n: int,
    random: np.random.Generator,
    replications: int,
) -> _Side:
    size, tune = losses.shape[2], drawing.tune
    listed = drawing.design == "list"
    chosen = (
        drawn(random, replications, tune + n, size)
        if listed
        else random.integers(0, size, (replications, tune + n))
    )
    tuned, total = _sums(losses, chosen[:, :tune]), losses.sum(axis=2)
    left = size - tune if listed else None
    truth = (total - tuned) / left if left else np.broadcast_to(total / size, tuned.shape)
    opened = chosen[:, tune:]
    return _Side(
        theorem=_THEOREMS[drawing.design, matrix.binary],
        delta=drawing.delta,
        n=n,
        left=left,
        binary=matrix.binary,
        opened=np.rint(_sums(losses, opened)).astype(np.int64)
        if matrix.binary
        else np.moveaxis(losses[:, :, opened], 2, 0),
        tuned=tuned.max(axis=2) / max(tune, 1),
        truth=truth.max(axis=2),
    )


def _sums(losses: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return (R, C, A) summed losses of the chosen units (R, n), counted as often as they were chosen."""
    times = np.zeros((len(chosen), losses.shape[2]))
    np.add.at(times, (np.arange(len(chosen))[:, None], chosen), 1.0)
    return (times @ losses.reshape(-1, losses.shape[2]).T).reshape(len(chosen), *losses.shape[:2])


def _outcome(name: str, budgets: tuple[float, float], listed: np.ndarray, bad: np.ndarray) -> Outcome:
    return Outcome(
        name,
        budgets,
        false=int((listed & bad).any(axis=1).sum()),
        listed=float((listed & ~bad).sum(axis=1).mean()),
        valid=float((~bad).sum(axis=1).mean()),
        replications=len(listed),
    )
