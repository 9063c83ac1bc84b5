"""From a folder of per-sample logs to one audit per benchmark, base model and forget list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from audit.core.errors import AuditError
from audit.measurements.importers.base import Request
from audit.measurements.importers.gather import Audit, Source, gather
from audit.measurements.importers.logfile import Layout, read_log
from audit.measurements.importers.naming import explicit_roles, read_name
from audit.measurements.table import Measurements


def read_audits(
    folder: Path, request: Request, layouts: Sequence[Layout], importer: str
) -> list[Measurements]:
    """Return one ``Measurements`` per audit, in order of their names; raises E130 to E136."""
    found = [(path, layout) for layout in layouts for path in sorted(folder.rglob(layout.file_name))]
    if not found:
        names = " or ".join(layout.file_name for layout in layouts)
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
    return [gather(audit, request, importer) for audit in audits]
