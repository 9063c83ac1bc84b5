"""open-unlearning's evaluation logs: ``TOFU_EVAL.json``, ``MUSE_EVAL.json``, and DUET's from the same evaluator.

Dorna et al. 2025, github.com/locuslab/open-unlearning. Whatever is missing stays missing: a metric that the
log lacks is named in the coverage, never replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from audit.measurements.importers.audits import read_audits
from audit.measurements.importers.base import IMPORTERS, Request
from audit.measurements.importers.duet import Duet
from audit.measurements.importers.logfile import Layout
from audit.measurements.importers.muse import Muse
from audit.measurements.importers.tofu import Tofu
from audit.measurements.table import Measurements

LAYOUTS: tuple[Layout, ...] = (Tofu(), Duet(), Muse())


@IMPORTERS.register("open-unlearning")
@dataclass(frozen=True)
class OpenUnlearning:
    """Every TOFU, MUSE and DUET log under a folder, one audit per benchmark, base model and forget list."""

    name: ClassVar[str]
    version: ClassVar[int] = 2  # 2: truth_ratio_geometric, zlib, gradient_norm, reference_gap; MUSE
    source: ClassVar[str] = "https://github.com/locuslab/open-unlearning"

    def read(self, folder: Path, request: Request) -> list[Measurements]:
        """Return one ``Measurements`` per audit, in order of their names; raises E130 to E136."""
        return read_audits(folder, request, LAYOUTS, f"{self.name}@{self.version}")


def read_logs(
    folder: Path,
    *,
    key: bytes,
    roles: Iterable[tuple[str, str]] = (),
    sample: int | None = None,
    seed: int | str = 0,
) -> list[Measurements]:
    """Import ``folder`` as ``OpenUnlearning.read`` does, from plain arguments."""
    return OpenUnlearning().read(folder, Request(key=key, seed=seed, roles=tuple(roles), sample=sample))


def roles_found(measurements: Sequence[Measurements]) -> list[tuple[str, str, str]]:
    """Return (audit, role, log) of every log read, for printing."""
    return [
        (m.header["audit_id"], log["role"], log["log"])
        for m in measurements
        for log in m.header["import"]["logs"]
    ]
