"""Who is in an audit: the logs about one model and forget list, the units they share, and the draw.

Without a sample every unit anybody logged is opened: a census of what was logged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.core.errors import AuditError
from audit.core.seeds import generator
from audit.measurements.importers.base import Request
from audit.measurements.importers.logfile import Log


@dataclass(frozen=True)
class Source:
    """One log and what its place says: path relative to the import, role, configuration."""

    path: str
    role: str
    configuration: str
    log: Log


@dataclass(frozen=True)
class Audit:
    """All logs about one base model and one forget list."""

    benchmark: str
    base: str
    forget_list: str
    sources: tuple[Source, ...]

    @property
    def audit_id(self) -> str:
        """Benchmark, base model and forget list, in words."""
        return " ".join(filter(None, (self.benchmark, self.base, self.forget_list)))


@dataclass(frozen=True)
class Side:
    """One side of an audit: the probes anybody logged, by index, and the units drawn.

    ``index`` (P,) ascending; ``unit`` (P,) position of each probe's unit in ``names`` (U, sorted pseudonyms);
    ``drawn`` (U,) bool; ``order`` (U,) rank of a drawn unit, -1 of the others.
    """

    index: np.ndarray
    unit: np.ndarray
    names: tuple[str, ...]
    drawn: np.ndarray
    order: np.ndarray

    @property
    def probes(self) -> np.ndarray:
        """Return the number of probes of each unit (U,)."""
        return np.bincount(self.unit, minlength=len(self.names))


def side_of(audit: Audit, side: str, request: Request) -> Side:
    """Return the units and probes of one side; raises E136 if the logs ask different questions."""
    unit_of: dict[int, str] = {}
    answer_of: dict[int, int] = {}
    for source in audit.sources:
        units, answers = source.log.units.get(side, {}), source.log.fingerprints.get(side, {})
        differ = sum(unit_of.setdefault(index, unit) != unit for index, unit in units.items())
        differ += sum(answer_of.setdefault(index, answer) != answer for index, answer in answers.items())
        if differ:
            cause = f"{audit.audit_id}: {differ} {side} questions differ between logs that should share them"
            raise AuditError("E136", cause, "import logs of one forget list together, others apart")
    names = tuple(sorted(set(unit_of.values())))
    position = {name: i for i, name in enumerate(names)}
    index = np.array(sorted(unit_of), dtype=np.int64)
    unit = np.array([position[unit_of[i]] for i in index.tolist()], dtype=np.int64)
    # The logs' digests enter: whoever trained the models could not know the draw while training.
    digests = sorted(source.log.sha256 for source in audit.sources)
    shuffled = generator(request.seed, "import", audit.audit_id, side, *digests).permutation(len(names))
    opened = shuffled[: request.sample] if is_sampled(side, len(names), request) else shuffled
    order = np.full(len(names), -1)
    order[opened] = np.arange(len(opened))
    return Side(index, unit, names, order >= 0, order)


def is_sampled(side: str, size: int, request: Request) -> bool:
    """Twins are a reference, not a list to estimate; all of them serve."""
    return side != "twin" and request.sample is not None and request.sample < size


def list_name(audit: Audit, side: str) -> str:
    """Return the name of the list a side stands for."""
    names = {
        "tofu": {"retain": "retain_perturbed", "twin": audit.forget_list.replace("forget", "holdout")},
        "duet": {"retain": "holdout"},
    }
    return audit.forget_list if side == "forget" else names.get(audit.benchmark, {}).get(side, side)
