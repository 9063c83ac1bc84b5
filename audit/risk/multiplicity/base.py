"""What a multiplicity procedure promises: which of K null hypotheses may be rejected together.

Only procedures that hold under any dependence belong here: configurations share units, so their p-values
depend on each other in ways nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from audit.core.registry import Registry


@runtime_checkable
class Procedure(Protocol):
    """Controls the familywise error rate: P(some true null is rejected) <= delta."""

    name: ClassVar[str]
    source: ClassVar[str]
    ordered: ClassVar[bool]  # whether it needs an order fixed before the p-values were seen

    def reject(
        self, p_values: np.ndarray, delta: float, size: int, order: Sequence[int] | None = None
    ) -> np.ndarray:
        """Return (C,) bool for p-values (C,) of a family of ``size`` >= C; members left out count as p = 1.

        An undefined p-value (NaN) counts as 1. ``order`` is a permutation of the C rows, first tested first,
        from tune units or the plan; procedures that are not ``ordered`` ignore it, the others refuse to run
        without it (ValueError).
        """
        ...


PROCEDURES: Registry[Procedure] = Registry("multiplicity procedure", "audit.risk.multiplicity")


def family(p_values: np.ndarray, delta: float, size: int) -> np.ndarray:
    """Return p-values (C,) with NaN as 1, after checking that they fit a family of ``size`` at ``delta``."""
    p_values = np.asarray(p_values, dtype=np.float64)
    if p_values.ndim != 1 or size < len(p_values):
        raise ValueError(f"p-values of shape {p_values.shape} do not fit a family of {size}")
    if not 0 < delta < 1:
        raise ValueError(f"delta must be in (0, 1), got delta={delta}")
    filled = np.where(np.isnan(p_values), 1.0, p_values)
    if bool(((filled < 0) | (filled > 1)).any()):
        raise ValueError(
            f"p-values must be in [0, 1], got values in [{filled.min():.3g}, {filled.max():.3g}]"
        )
    return filled


def demanded(order: Sequence[int] | None, rows: int, procedure: str) -> list[int]:
    """Return ``order`` as a list; ValueError if there is none or it is no permutation of the rows."""
    if order is None:
        raise ValueError(f"{procedure} needs an order of the {rows} rows that was fixed before the p-values")
    if sorted(order) != list(range(rows)):
        raise ValueError(f"order must be a permutation of the {rows} rows, got {list(order)}")
    return list(order)


def level_along_order(delta: float, size: int, rows: int) -> float:
    """Return the level at which an order may be walked when m = ``size`` - ``rows`` members are not in it.

    Nobody says where they would have stood, and one may be missing because it did badly. Whoever leaves out m
    members after a look at the data can bring any of m + 1 true nulls to the place where the walk would err,
    so the union bound asks for delta / (m + 1); with everybody in the table it is delta.
    """
    return delta / (size - rows + 1)
