"""What a validity study found: one row per cell and procedure, and whether the engine stands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from audit.core.errors import AuditError
from audit.risk.validation.judging import EVIDENCE, flags, interval, surprise

INVALID_PART = "invalid"


@dataclass(frozen=True)
class Row:
    """One procedure in one cell.

    Attributes
    ----------
    part: kind of promise, or ``invalid``.
    cell: the setting in words; for an invalid procedure, what is wrong with it.
    procedure: what was judged.
    promised: rate of violations it promises not to exceed.
    violations: replications in which it broke its promise.
    replications: independent draws.
    lower, upper: Clopper-Pearson interval of the rate at 95 %.
    surprise: p-value of "the promise is kept".

    """

    part: str
    cell: str
    procedure: str
    promised: float
    violations: int
    replications: int
    lower: float
    upper: float
    surprise: float

    @classmethod
    def of(
        cls, part: str, cell: str, procedure: str, promised: float, violations: int, replications: int
    ) -> Row:
        """Return the row with its interval and p-value."""
        bounds = interval(violations, replications)
        evidence = surprise(violations, replications, promised)
        return cls(part, cell, procedure, promised, violations, replications, *bounds, evidence)

    @property
    def rate(self) -> float:
        """Violations per replication."""
        return self.violations / self.replications


@dataclass(frozen=True)
class Study:
    """All rows of a study: ``rows`` must keep their promise, ``invalid`` must be caught."""

    size: str
    seed: int
    processes: int
    seconds: float
    rows: tuple[Row, ...]
    invalid: tuple[Row, ...]

    @property
    def flagged(self) -> tuple[bool, ...]:
        """Which of ``rows`` break their promise at 1 % evidence over the study (Holm over all rows)."""
        return tuple(map(bool, flags(np.array([row.surprise for row in self.rows]))))

    @property
    def caught(self) -> tuple[bool, ...]:
        """Which of ``invalid`` would be flagged even at the strictest level that Holm asks of any row."""
        strictest = EVIDENCE / (len(self.rows) + len(self.invalid))
        return tuple(row.surprise <= strictest for row in self.invalid)

    @property
    def passed(self) -> bool:
        """Whether nothing valid was flagged and everything invalid was caught."""
        return not any(self.flagged) and all(self.caught)

    def trouble(self) -> AuditError | None:
        """Return what is wrong as E460 (a promise is broken) or E461 (the study is blind), else None."""
        broken = [row for row, flag in zip(self.rows, self.flagged, strict=True) if flag]
        missed = [row.procedure for row, caught in zip(self.invalid, self.caught, strict=True) if not caught]
        if broken:
            worst = min(broken, key=lambda row: row.surprise)
            return AuditError(
                "E460",
                f"{len(broken)} of {len(self.rows)} rows break their promise; worst: {worst.procedure} in"
                f" {worst.cell}, {worst.violations} of {worst.replications} at a promised {worst.promised:g}",
                "rely on no certificate of this installation; report the versions of numpy and scipy",
            )
        if missed:
            return AuditError(
                "E461",
                f"{len(missed)} of {len(self.invalid)} invalid procedures were not caught: {', '.join(missed)}",
                "a study that misses these proves nothing; run it with --size full",
            )
        return None

    def to_json(self) -> dict[str, Any]:
        """Return a plain JSON object."""
        return {
            "size": self.size,
            "seed": self.seed,
            "processes": self.processes,
            "seconds": round(self.seconds, 1),
            "evidence": EVIDENCE,
            "passed": self.passed,
            "rows": [
                asdict(row) | {"rate": row.rate, "flagged": flag}
                for row, flag in zip(self.rows, self.flagged, strict=True)
            ],
            "invalid": [
                asdict(row) | {"rate": row.rate, "caught": caught}
                for row, caught in zip(self.invalid, self.caught, strict=True)
            ],
        }
