"""What the statistics need of a lock: budgets, confidence, losses; the same for runs and imported logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit.core.errors import AuditError
from audit.plan.schema import Budget, Loss
from audit.risk.estimands import Estimand
from audit.risk.multiplicity.base import PROCEDURES


@dataclass(frozen=True)
class Settings:
    """Budgets and losses of one audit.

    ``family`` is the constructor text of a multiplicity procedure, ``order`` where an ordered one has its order
    from (``tune`` or ``plan``; None otherwise). ``imported``: the logs of another tool, without a lock of ours.
    ``looks``: candidates may have been given up after the first subjects of an attack.
    """

    alpha_forget: float
    alpha_utility: float
    delta: float
    family: str
    order: str | None
    primary: tuple[str, ...]
    vetoes: tuple[str, ...]
    beta: float
    tau: float
    imported: bool
    title: str
    estimand: Estimand = "list"
    k: int = 4
    looks: bool = False

    @classmethod
    def of(cls, header: dict[str, Any]) -> Settings:
        """Read them from the lock in a measurements header."""
        lock = header["lock"]
        imported = lock.get("kind") == "import"
        loss, budget = Loss(**lock["loss"]), Budget(**lock["budget"])
        return cls(
            alpha_forget=budget.forget,
            alpha_utility=budget.utility,
            delta=round(1 - lock["confidence"], 12),
            family=lock["family"],
            order=_order(lock),
            primary=loss.primary,
            vetoes=loss.vetoes,
            beta=loss.beta,
            tau=loss.tau,
            imported=imported,
            title=lock["title"],
            k=loss.k,
            looks=lock.get("futility") == "subjects",
            estimand=lock.get("estimand", "list"),  # the first locks knew no other
        )


def _order(lock: dict[str, Any]) -> str | None:
    """Return where the order comes from; E430 unless the lock says so for an ordered family, and only then."""
    order, needed = lock.get("order"), PROCEDURES.build(lock["family"]).ordered
    if (order in ("tune", "plan")) != needed or (order is not None and not needed):
        raise AuditError(
            "E430",
            f"the lock has the order {order!r}, the family {lock['family']} takes {'one' if needed else 'none'}",
            "lock the plan again",
        )
    return order
