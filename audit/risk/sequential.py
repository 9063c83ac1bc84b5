"""An audit that may be looked at, and stopped, after every unit.

Each clause has an e-process (``wealth``), each configuration the largest anytime p-value of its clauses
(intersection-union), the family a multiplicity procedure on these. Since p-values can only fall and the
procedures are monotone in them, whatever is accepted at some look would be accepted at the last: the error
probability delta covers all looks together, whenever and why ever one stops. Dropping hopeless configurations
is free as long as K stays.
Ville's inequality; Holm 1979; e-values and their closure: Vovk, Wang. Annals of Statistics 49(3), 2021,
arXiv:1912.06116, Algorithm 1; Learn then Test with early stopping: Zecchin, Simeone, arXiv:2409.15844.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np

from audit.core.errors import AuditError
from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.table import Clause, LossTable
from audit.risk.wealth import Wealth

E_HOLM = "e_holm"


class SequentialAudit:
    """Anytime-valid acceptance of configurations while their units are still being opened.

    Parameters
    ----------
    table: the design: clauses with losses of shape (C, 0), everything else as for a fixed sample. Losses of a
        finite list must be fixed (E440).
    alpha_forget, alpha_utility: budgets in (0, 1).
    delta: error probability over all looks together.
    family: a multiplicity procedure, applied to p = 1 / max E; or ``e_holm``, closed testing by averages of
        e-values, which needs all clauses of a side to advance together, in batches fixed before their losses
        are known.
    planned: side -> units that will be opened, for ``futile`` only; default all of a list, no end for draws.

    """

    def __init__(
        self,
        table: LossTable,
        *,
        alpha_forget: float = 0.1,
        alpha_utility: float = 0.1,
        delta: float = 0.05,
        family: str = "holm",
        planned: Mapping[str, int] | None = None,
    ) -> None:
        for name, value in (
            ("alpha_forget", alpha_forget),
            ("alpha_utility", alpha_utility),
            ("delta", delta),
        ):
            if not 0 < value < 1:
                raise ValueError(f"{name} must be in (0, 1), got {name}={value}")
        self._table, self._delta, self._family = table, delta, family
        self._procedure = None if family == E_HOLM else PROCEDURES.build(family)
        self._clauses = {clause.name: clause for clause in table.clauses}
        budgets = {"forget": alpha_forget, "utility": alpha_utility}
        self._wealth = {c.name: Wealth(_checked(c), budgets[c.side]) for c in table.clauses}
        self._planned = {
            name: _planned(c, self._wealth[name], planned or {}) for name, c in self._clauses.items()
        }
        self._accepted = np.zeros(len(table.configurations), dtype=bool)
        self._look()

    @property
    def opened(self) -> dict[str, int]:
        """Clause -> units opened so far."""
        return {name: wealth.opened for name, wealth in self._wealth.items()}

    @property
    def p_values(self) -> np.ndarray:
        """(C,) anytime p-value of each configuration: the largest of its clauses, valid at this look."""
        return np.exp(-self._smallest("log_peak"))

    @property
    def accepted(self) -> np.ndarray:
        """(C,) bool; P(ever accepting one that exceeds a budget) <= delta, over all looks together."""
        return self._accepted & ~self._broken

    @property
    def futile(self) -> np.ndarray:
        """(C,) bool; not accepted, and not even if all units still planned were without loss for everyone.

        Such a configuration may be dropped at any time; it goes on counting towards K.
        """
        best = copy.copy(self)
        best._wealth = {name: self._perfect(name) for name in self._wealth}
        best._look()
        return ~best.accepted

    def update(self, losses: Mapping[str, np.ndarray]) -> None:
        """Open the next units: clause name -> losses (C, units) in [0, 1], in the recorded random order.

        NaN is a missing score (or a configuration no longer measured) and counts as 1. Nothing changes if
        some array is refused (ValueError).
        """
        arrays = {name: self._batch(name, values) for name, values in losses.items()}
        if self._procedure is None:
            self._demand_lockstep({name: values.shape[1] for name, values in arrays.items()})
        for unit in range(max((values.shape[1] for values in arrays.values()), default=0)):
            for name, values in arrays.items():
                if unit < values.shape[1]:
                    self._wealth[name].step(values[:, unit])
            if self._procedure is None:
                self._look()  # wealth may fall again: averages are taken at every unit
        self._look()

    # -- one look ----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        size = self._table.family_size
        if self._procedure is None:
            now = np.exp(np.minimum(self._smallest("log_now"), _LARGEST_LOG))
            found = e_holm(now, self._delta, size)
        else:
            found = self._procedure.reject(self.p_values, self._delta, size, self._table.order)
        self._accepted = self._accepted | found

    def _smallest(self, field: str) -> np.ndarray:
        """Return (C,) the least evidence over a configuration's clauses; 0 if a side or a result is missing."""
        least = []
        for side in ("forget", "utility"):
            smallest = np.full(len(self._accepted), np.inf)
            promised = np.zeros(len(self._accepted), dtype=bool)
            for name, clause in self._clauses.items():
                if clause.side == side:
                    evidence = np.where(clause.counts(), getattr(self._wealth[name], field), 0.0)
                    smallest = np.where(
                        np.asarray(clause.applicable), np.minimum(smallest, evidence), smallest
                    )
                    promised |= np.asarray(clause.applicable)
            least.append(np.where(promised, smallest, 0.0))
        return np.minimum(*least)

    @property
    def _broken(self) -> np.ndarray:
        broken = np.zeros(len(self._accepted), dtype=bool)
        for name, wealth in self._wealth.items():
            broken |= wealth.broken & self._clauses[name].counts()
        return broken

    def _perfect(self, name: str) -> Wealth:
        """Return the wealth of a clause after its planned units, the rest of them without loss."""
        wealth, planned = copy.copy(self._wealth[name]), self._planned[name]
        if planned is None:
            wealth.log_now = wealth.log_peak = np.full(len(self._accepted), np.inf)
            return wealth
        for _ in range(planned - wealth.opened):
            wealth.step(np.zeros(len(self._accepted)))
        return wealth

    # -- what comes in -----------------------------------------------------------------------------------------

    def _batch(self, name: str, values: np.ndarray) -> np.ndarray:
        if name not in self._clauses:
            raise ValueError(f"there is no clause {name!r}, only {', '.join(self._clauses)}")
        values, left = np.asarray(values, dtype=np.float64), self._wealth[name].left
        if values.ndim != 2 or len(values) != len(self._accepted):
            raise ValueError(f"{name}: losses have shape ({len(self._accepted)}, units), got {values.shape}")
        if left is not None and values.shape[1] > left:
            raise ValueError(f"{name}: {values.shape[1]} units for the {left} that are left of the list")
        clause = self._clauses[name]
        known = values[clause.counts()]
        known = known[~np.isnan(known)]
        if not bool(((known >= 0) & (known <= 1)).all()):
            raise ValueError(f"{name}: losses must be in [0, 1], got [{known.min():.3g}, {known.max():.3g}]")
        if clause.binary and not bool(((known == 0) | (known == 1)).all()):
            raise ValueError(f"{name}: declared 0/1, got graded losses")
        return np.where(clause.counts()[:, None], values, 1.0)

    def _demand_lockstep(self, batch: Mapping[str, int]) -> None:
        for side in {self._clauses[name].side for name in batch}:
            counts = {name: batch.get(name, 0) for name, c in self._clauses.items() if c.side == side}
            if len(set(counts.values())) > 1:
                raise ValueError(f"{E_HOLM} needs the same units under every clause of a side, got {counts}")


def e_holm(e_values: np.ndarray, delta: float, size: int) -> np.ndarray:
    """Return (C,) bool: which of a family of ``size`` to reject, from e-values (C,) of any dependence.

    Closed testing with averages (Vovk and Wang 2021, Algorithm 1): reject k if its average with any others
    is at least 1/delta. Members without an e-value count as 0. Rejects at least what Holm does on p = 1/e.
    """
    e_values = np.asarray(e_values, dtype=np.float64)
    if size < len(e_values) or np.isnan(e_values).any() or (e_values < 0).any():
        raise ValueError(f"{len(e_values)} e-values, each >= 0, do not fit a family of {size}: {e_values}")
    sums = np.concatenate([np.zeros(size - len(e_values)), np.sort(e_values)]).cumsum()
    rejected = np.zeros(len(e_values), dtype=bool)
    for row, value in enumerate(e_values):
        # k with its i smallest others: the i + 1 smallest of all, with k in the last one's place if k is larger.
        worst = np.maximum(sums, value + np.concatenate([[0.0], sums[:-1]]))  # (size,), i = 0, 1, ...
        rejected[row] = bool((worst / np.arange(1, size + 1) >= 1 / delta).all())
    return rejected


_LARGEST_LOG = 600.0  # exp of it still adds up over a family


def _checked(clause: Clause) -> Clause:
    if clause.units:
        raise ValueError(f"{clause.name}: units arrive through update, got losses {clause.losses.shape}")
    if clause.design == "random list":
        raise AuditError(
            "E440",
            f"{clause.name}: losses that come out differently on repetition cannot be looked at early on a "
            "finite list",
            "seed decoding and judges, or look once, when all planned units are open",
        )
    return clause


def _planned(clause: Clause, wealth: Wealth, planned: Mapping[str, int]) -> int | None:
    number = planned.get(clause.side, wealth.left)
    if number is not None and (number < 0 or (wealth.left is not None and number > wealth.left)):
        raise ValueError(f"{clause.name}: {number} units planned of the {wealth.left} that are left")
    return number
