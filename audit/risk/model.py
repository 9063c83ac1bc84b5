"""ConformalRiskModel: from a loss table to CUR, p-values and the set of valid configurations.

For each configuration the null hypothesis is "some attack exceeds alpha_forget, or utility harm exceeds
alpha_utility". Its p-value is the largest of its clauses' (intersection-union test, Berger, Technometrics
24(4), 1982): no correction over attacks. Over configurations a multiplicity procedure applies (Learn then
Test, Angelopoulos, Bates, Candes, Jordan, Lei, Annals of Applied Statistics 19(2), 2025). CUR, the risk of
continued influence, is the largest upper bound over attacks; it covers the largest risk without correction,
since missing it means missing the one attack that attains it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from audit.risk.clauses import Levels, bound_clause
from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.table import LossTable


class ConformalRiskModel:
    """Bounds the risks of every configuration in a loss table; follows scikit-learn's estimator conventions.

    Parameters
    ----------
    alpha_forget: budget of the forgetting risk under every attack, in (0, 1).
    alpha_utility: budget of the utility harm, in (0, 1).
    delta: error probability of the valid set, and once more of the simultaneous bounds, in (0, 1).
    family: constructor text of a multiplicity procedure (``holm``, ``graphical``, …); ordered ones need
        ``table.order``.
    bound: name of one bound for all clauses, or ``auto``: the sharpest whose theorem covers the clause's
        design.

    Attributes
    ----------
    cur_: (C,) simultaneous CUR, level delta / K: any configuration may be quoted, whenever chosen.
    cur_clause_: (C,) index into ``clauses_`` of the clause that attains it; -1 without a forget clause.
    cur_marginal_: (C,) CUR at level delta: exploration only, never for a configuration chosen by the data.
    cur_lower_: (C,) largest lower bound over forget clauses, level delta / K each.
    p_forget_, p_utility_, p_values_: (C,) largest p-value over forget clauses, utility clauses, both.
    valid_: (C,) bool; with probability at least 1 - delta every configuration marked meets every budget.
    valid_set_: their names.
    fails_: (C,) bool; some clause's lower bound at delta / (number of clauses) exceeds its budget.
    clauses_: one ClauseBounds per clause of the table, in its order.

    """

    def __init__(
        self,
        alpha_forget: float = 0.1,
        alpha_utility: float = 0.1,
        delta: float = 0.05,
        family: str = "holm",
        bound: str = "auto",
    ) -> None:
        self.alpha_forget = alpha_forget
        self.alpha_utility = alpha_utility
        self.delta = delta
        self.family = family
        self.bound = bound

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's parameters; ``deep`` changes nothing here."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **params: Any) -> ConformalRiskModel:
        """Set constructor parameters and return self; unknown names are errors."""
        unknown = sorted(set(params) - set(_PARAMETERS))
        if unknown:
            raise ValueError(
                f"ConformalRiskModel has no parameters {unknown}; it takes {', '.join(_PARAMETERS)}"
            )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"ConformalRiskModel({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"

    def fit(self, table: LossTable, y: None = None) -> ConformalRiskModel:
        """Bound every clause, test every configuration, and return self; ``y`` is ignored (scikit-learn)."""
        levels = self._levels(table)
        budgets = {"forget": self.alpha_forget, "utility": self.alpha_utility}
        self._rows = len(table.configurations)
        self.clauses_ = tuple(bound_clause(c, budgets[c.side], levels, self.bound) for c in table.clauses)
        self.p_forget_, _ = self._largest("p_value", "forget")
        self.p_utility_, _ = self._largest("p_value", "utility")
        self.p_values_ = np.maximum(self.p_forget_, self.p_utility_)
        self.valid_ = PROCEDURES.build(self.family).reject(
            self.p_values_, self.delta, table.family_size, table.order
        )
        self.valid_set_ = tuple(
            name for name, valid in zip(table.configurations, self.valid_, strict=True) if valid
        )
        return self

    @property
    def cur_(self) -> np.ndarray:
        """(C,) simultaneous CUR."""
        return self._largest("upper", "forget")[0]

    @property
    def cur_clause_(self) -> np.ndarray:
        """(C,) index of the clause that attains it."""
        return self._largest("upper", "forget")[1]

    @property
    def cur_marginal_(self) -> np.ndarray:
        """(C,) marginal CUR."""
        return self._largest("upper_marginal", "forget")[0]

    @property
    def cur_lower_(self) -> np.ndarray:
        """(C,) largest lower bound over forget clauses."""
        return self._largest("lower", "forget", without=0.0)[0]

    @property
    def fails_(self) -> np.ndarray:
        """(C,) bool; some promise is broken."""
        broken = [clause.fails for clause in self.clauses_]
        return np.any(np.array(broken, dtype=bool).reshape(-1, self._rows), axis=0)

    def _levels(self, table: LossTable) -> Levels:
        for name in ("alpha_forget", "alpha_utility", "delta"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be in (0, 1), got {name}={getattr(self, name)}")
        shared = self.delta / max(len(table.clauses), 1)
        return Levels(self.delta / table.family_size, self.delta, shared, looks=table.looks)

    def _largest(self, field: str, side: str, *, without: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return the largest ``field`` (C,) over the applicable clauses of a side, and the index of its clause.

        ``without`` and -1 stand where no clause applies: nothing was promised, so nothing is certified.
        """
        largest, index = np.full(self._rows, without), np.full(self._rows, -1)
        for number, clause in enumerate(self.clauses_):
            if clause.side != side:
                continue
            higher = clause.applicable & ((index < 0) | (getattr(clause, field) > largest))
            largest[higher], index[higher] = getattr(clause, field)[higher], number
        return largest, index


_PARAMETERS = ("alpha_forget", "alpha_utility", "delta", "family", "bound")
