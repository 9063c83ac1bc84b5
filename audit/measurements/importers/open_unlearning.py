"""open-unlearning's evaluation logs (``TOFU_EVAL.json``) and those of DUET, which its evaluator writes too.

Dorna et al. 2025, github.com/locuslab/open-unlearning. Whatever is missing stays missing: a metric that the
log lacks is named in the coverage, never replaced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from audit.core.errors import AuditError
from audit.measurements.importers.base import IMPORTERS, Request
from audit.measurements.importers.duet import Duet
from audit.measurements.importers.gather import Audit, Source, gather
from audit.measurements.importers.logfile import Layout, read_log
from audit.measurements.importers.naming import explicit_roles, read_name
from audit.measurements.importers.tofu import Tofu
from audit.measurements.table import Measurements

LAYOUTS: tuple[Layout, ...] = (Tofu(), Duet())


@IMPORTERS.register("open-unlearning")
@dataclass(frozen=True)
class OpenUnlearning:
    """Import every log under a folder, one audit per benchmark, base model and forget list."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    source: ClassVar[str] = "https://github.com/locuslab/open-unlearning"

    def read(self, folder: Path, request: Request) -> list[Measurements]:
        """Return one ``Measurements`` per audit, in order of their names; raises E130 to E136."""
        found = [(path, layout) for layout in LAYOUTS for path in sorted(folder.rglob(layout.file_name))]
        if not found:
            names = " or ".join(layout.file_name for layout in LAYOUTS)
            raise AuditError("E130", f"{folder} holds no {names}", "name a folder above the evaluator's logs")
        roles = explicit_roles(folder, [path for path, _ in found], request.roles)
        groups: dict[tuple[str, str, str], list[Source]] = defaultdict(list)
        for path, layout in found:
            name = read_name(folder, path)
            log = read_log(path, layout, forget_list=name.forget_list, key=request.key)
            role = roles.get(path, name.role)
            label = role if role != "candidate" else name.recipe or path.relative_to(folder).parent.as_posix()
            source = Source(path.relative_to(folder).as_posix(), role, label, log)
            groups[layout.benchmark, name.base, log.forget_list].append(source)
        audits = [Audit(*names, tuple(sources)) for names, sources in sorted(groups.items())]
        return [gather(audit, request, f"{self.name}@{self.version}") for audit in audits]


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
