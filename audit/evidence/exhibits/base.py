"""What an exhibit is made from, and the registry that finds the makers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from audit.core.registry import Registry
from audit.evidence.certificate import ConfigurationResult
from audit.evidence.exhibit import Exhibit
from audit.plan.assemble import Assembly, Tables
from audit.plan.settings import Settings
from audit.risk.model import ConformalRiskModel


@dataclass(frozen=True, eq=False)
class Case:
    """One certified audit, as makers of exhibits see it.

    ``tables`` are the deciding clauses of the candidates (rows in the order of ``results``), ``model`` what was
    fitted to them, ``results`` what the certificate says of each candidate.
    """

    assembly: Assembly
    tables: Tables
    model: ConformalRiskModel
    results: tuple[ConfigurationResult, ...]

    @property
    def settings(self) -> Settings:
        """Budgets, confidence and losses of the lock."""
        return self.assembly.settings

    @property
    def delta(self) -> float:
        """Error probability of the audit."""
        return self.settings.delta


@runtime_checkable
class Maker(Protocol):
    """Makes one exhibit. ``place`` orders exhibits on the page, smallest first."""

    name: ClassVar[str]
    place: ClassVar[int]

    def make(self, case: Case) -> Exhibit | None:
        """Return the exhibit, or None where the audit holds nothing to make it from."""
        ...


EXHIBITS: Registry[Maker] = Registry("exhibit", "audit.evidence.exhibits")


def make_all(case: Case) -> Iterator[Exhibit]:
    """Yield every exhibit that this audit supports, in page order."""
    for name in sorted(EXHIBITS, key=lambda name: (EXHIBITS[name].place, name)):
        exhibit = EXHIBITS[name]().make(case)
        if exhibit is not None:
            yield exhibit
