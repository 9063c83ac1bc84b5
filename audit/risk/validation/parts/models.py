"""The engine as an audit calls it: ``ConformalRiskModel.fit`` on whole loss tables of a list.

Slower than the other parts, which take p-values and procedures apart; this one would notice if they were put
together wrongly: levels, the maximum over clauses, missing scores, units counted from an earlier audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.core.seeds import generator
from audit.risk.model import ConformalRiskModel
from audit.risk.table import Clause, LossTable
from audit.risk.validation.base import PARTS
from audit.risk.validation.coverage import EDGE, drawn

K, SIZE, UNITS, SEEN = 6, 120, 80, 20
ALLOWED = 12  # of SIZE: the budget of 0.1
DELTA = 0.05

Draw = Callable[[np.ndarray], LossTable]
"""(units (SIZE,) of one random order) -> the table an audit would see."""


def _listed(failing: int, name: str) -> np.ndarray:
    """Return (K, SIZE) fixed 0/1 losses, ``failing`` units of each configuration, drawn independently."""
    random = generator(0, "models", name)
    return (random.random((K, SIZE)).argsort(axis=1).argsort(axis=1) < failing).astype(float)


def _table(*clauses: Clause) -> LossTable:
    return LossTable(tuple(f"c{i}" for i in range(K)), clauses, K)


def _clean(units: int, size: int = SIZE) -> Clause:
    return Clause("utility", "utility", np.zeros((K, units)), size, binary=True)


def _two_attacks(failing: int) -> Draw:
    attacked, none = _listed(failing, "attacked"), np.zeros((K, SIZE))

    def draw(order: np.ndarray) -> LossTable:
        units = order[:UNITS]
        return _table(
            Clause("none", "forget", none[:, units], SIZE, binary=True),
            Clause("int4", "forget", attacked[:, units], SIZE, binary=True),
            _clean(UNITS),
        )

    return draw


def _undeclared(order: np.ndarray) -> LossTable:
    units = order[:UNITS]
    losses = _listed(ALLOWED + 1, "undeclared")[:, units]
    return _table(Clause("none", "forget", losses, SIZE), _clean(UNITS))


def _missing(order: np.ndarray) -> LossTable:
    """Every second failing unit loses its score, and no other."""
    listed = _listed(ALLOWED + 1, "missing")
    gone = (listed == 1) & (np.cumsum(listed, axis=1) % 2 == 0)
    losses = np.where(gone, np.nan, listed)[:, order[:UNITS]]
    return _table(Clause("none", "forget", losses, SIZE, binary=True), _clean(UNITS))


def _seen_before(order: np.ndarray) -> LossTable:
    """The first units of the list were opened by an earlier audit and are counted."""
    listed = _listed(ALLOWED + 1, "seen")
    rest = order[order >= SEEN][:UNITS]
    clause = Clause("none", "forget", listed[:, rest], SIZE, SEEN, listed[:, :SEEN].sum(axis=1), binary=True)
    return _table(clause, _clean(UNITS))


_EVERY = np.ones(K, dtype=bool)
_VALUES: dict[str, tuple[Draw, Callable[[ConformalRiskModel], np.ndarray]]] = {
    "valid set, two attacks": (_two_attacks(ALLOWED + 1), lambda model: model.valid_),
    "valid set, 0/1 not declared": (_undeclared, lambda model: model.valid_),
    "valid set, failing units without a score": (_missing, lambda model: model.valid_),
    "valid set, units seen before": (_seen_before, lambda model: model.valid_),
    "simultaneous CUR, two attacks": (
        _two_attacks(ALLOWED + 1),
        lambda model: model.cur_ < (ALLOWED + 1) / SIZE - EDGE,
    ),
    "FAIL at the budget": (_two_attacks(ALLOWED), lambda model: model.fails_[:1]),
}


@dataclass(frozen=True)
class ModelCell:
    """One statement of the model about K = 6 configurations, 80 of 120 units opened."""

    statement: str
    slow: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The statement."""
        return f"whole model: {self.statement}, n={UNITS} of {SIZE}, K={K}"

    @property
    def promised(self) -> float:
        """Delta."""
        return DELTA

    @property
    def procedures(self) -> tuple[str, ...]:
        """The default model."""
        return ("ConformalRiskModel",)

    def violations(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (1,) replications in which the statement is wrong about some configuration."""
        draw, wrong = _VALUES[self.statement]
        orders = drawn(random, replications, SIZE, SIZE)
        return np.array(
            [sum(bool(wrong(ConformalRiskModel(delta=DELTA).fit(draw(order))).any()) for order in orders)]
        )


@PARTS.register("model")
@dataclass(frozen=True)
class Models:
    """The engine end to end."""

    name: ClassVar[str]

    def cells(self) -> Iterator[ModelCell]:
        """Yield one cell per statement."""
        return map(ModelCell, _VALUES)
