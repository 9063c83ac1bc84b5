"""What the statistics need of a lock: budgets, confidence, losses; the same for runs and imported logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit.plan.schema import Budget, Loss


@dataclass(frozen=True)
class Settings:
    """Budgets and losses of one audit. ``imported``: the logs of another tool, without a lock of ours."""

    alpha_forget: float
    alpha_utility: float
    delta: float
    family: str
    primary: tuple[str, ...]
    vetoes: tuple[str, ...]
    beta: float
    tau: float
    imported: bool
    title: str

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
            primary=loss.primary,
            vetoes=loss.vetoes,
            beta=loss.beta,
            tau=loss.tau,
            imported=imported,
            title=lock["title"],
        )
