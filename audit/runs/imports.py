"""Import another tool's logs: one measurements folder per audit, text dropped, no torch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from audit.core.digest import digest_json
from audit.core.errors import AuditError
from audit.measurements import store
from audit.measurements.importers.base import IMPORTERS, Request
from audit.measurements.table import Measurements
from audit.plan.schema import Budget, Loss, Plan
from audit.runs.project import pseudonym_key


@dataclass(frozen=True)
class Imported:
    """One written audit: its folder, its lists, and the role each log was given."""

    folder: str
    forget_list: str
    units: dict[str, int]
    roles: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Return a plain JSON object."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the import as text."""
        counts = " · ".join(f"{side} {n}" for side, n in self.units.items())
        return [f"{self.folder}  ({counts} subjects)", *(f"  {role:<10} {log}" for role, log in self.roles)]


def import_audits(
    kind: str, folder: Path, out: Path, *, roles: Sequence[str], sample: int | None, seed: int
) -> list[Imported]:
    """Write one audit per base model and forget list under ``out``; the key lies in ``out``/.unlearn-audit."""
    if not folder.is_dir():
        raise AuditError(
            "E130", f"there is no folder {folder.name!r}", "name a folder above the evaluator's logs"
        )
    importer, pairs, is_new = IMPORTERS[kind](), tuple(map(_role, roles)), not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        request = Request(key=pseudonym_key(out, None), seed=seed, roles=pairs, sample=sample)
        audits = importer.read(folder, request)
    except AuditError:
        if is_new:
            shutil.rmtree(out)  # nothing but the key was in it
        raise
    return [_write(_with_budgets(m), out / _slug(m)) for m in audits]


def _role(text: str) -> tuple[str, str]:
    role, equals, pattern = text.partition("=")
    if not equals or role not in ("original", "retrained", "candidate"):
        raise AuditError(
            "E118", f"{text!r} is not of the form original=GLOB", "roles: original, retrained, candidate"
        )
    return role, pattern


def _with_budgets(measurements: Measurements) -> Measurements:
    """Put the budgets and losses that will judge the logs into the lock, before anything is judged."""
    plan = Plan.model_fields
    lock = measurements.header["lock"] | {
        "loss": Loss(primary=("answered",), vetoes=()).model_dump(mode="json"),
        "budget": Budget().model_dump(mode="json"),
        "confidence": plan["confidence"].default,
        "family": plan["family"].default,
        "title": f"imported logs: {measurements.header['import']['base']}, {measurements.header['import']['forget_list']}",
    }
    return replace(
        measurements, header=measurements.header | {"lock": lock, "lock_digest": digest_json(lock)}
    )


def _slug(measurements: Measurements) -> str:
    record = measurements.header["import"]
    name = "-".join(str(record[part]) for part in ("benchmark", "base", "forget_list") if record[part])
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-").lower() or measurements.header["audit_id"]


def _write(measurements: Measurements, folder: Path) -> Imported:
    store.write(folder / "measurements", measurements)
    header = measurements.header
    roles = tuple((log["role"], log["log"]) for log in header["import"]["logs"])
    units = measurements.units.groupby("side").size().to_dict()
    return Imported(
        str(folder), str(header["import"]["forget_list"]), {k: int(v) for k, v in units.items()}, roles
    )
