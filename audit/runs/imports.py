"""Import another tool's logs: one measurements folder per audit, text dropped, no torch."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from audit.core.digest import digest_json
from audit.core.errors import AuditError
from audit.measurements import store
from audit.measurements.importers.base import IMPORTERS, Request
from audit.measurements.table import Measurements
from audit.plan.schema import Budget, Loss, Plan
from audit.risk import power
from audit.risk.losses import twin_rank
from audit.runs.project import pseudonym_key

LOSSES = ("answered", "above_twins")
"""What may judge logs: questions answered (guesses count), or units likelier than never-trained twins."""


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
    kind: str,
    folder: Path,
    out: Path,
    *,
    roles: Sequence[str],
    sample: int | None,
    seed: int,
    loss: str = "answered",
    only: str = "*",
) -> list[Imported]:
    """Write one audit per base model and forget list under ``out``; the key lies in ``out``/.unlearn-audit.

    ``only`` names the audits to write, by a pattern of their folders' names (E147 where none is called so). ``loss``
    judges the logs. E144 if it is none of ``LOSSES``, E145 where ``above_twins`` lacks twins with
    likelihoods, E146 where there are too few for a perfect model to be certified.
    """
    if loss not in LOSSES:
        raise AuditError("E144", f"no loss of logs is called {loss!r}", f"choose {' or '.join(LOSSES)}")
    if not folder.is_dir():
        raise AuditError(
            "E130", f"there is no folder {folder.name!r}", "name a folder above the evaluator's logs"
        )
    importer, pairs, is_new = IMPORTERS[kind](), tuple(map(_role, roles)), not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        request = Request(key=pseudonym_key(out, None), seed=seed, roles=pairs, sample=sample)
        audits = [_with_budgets(m, loss) for m in _chosen(importer.read(folder, request), only)]
    except AuditError:
        if is_new:
            shutil.rmtree(out)  # nothing but the key was in it
        raise
    return [_write(m, out / _slug(m)) for m in audits]


def _chosen(found: Iterable[Measurements], pattern: str) -> list[Measurements]:
    audits = list(found)
    chosen = [measurements for measurements in audits if fnmatchcase(_slug(measurements), pattern)]
    if not chosen:
        raise AuditError(
            "E147", f"no audit is called {pattern!r}", f"there are {', '.join(sorted(map(_slug, audits)))}"
        )
    return chosen


def _role(text: str) -> tuple[str, str]:
    role, equals, pattern = text.partition("=")
    if not equals or role not in ("original", "retrained", "candidate"):
        raise AuditError(
            "E118", f"{text!r} is not of the form original=GLOB", "roles: original, retrained, candidate"
        )
    return role, pattern


def _with_budgets(measurements: Measurements, loss: str) -> Measurements:
    """Put the budgets and losses that will judge the logs into the lock, before anything is judged."""
    plan = Plan.model_fields
    lock = measurements.header["lock"] | {
        "loss": _loss(measurements, loss).model_dump(mode="json"),
        "budget": Budget().model_dump(mode="json"),
        "confidence": plan["confidence"].default,
        "family": plan["family"].default,
        "title": f"imported logs: {measurements.header['import']['base']}, {measurements.header['import']['forget_list']}",
    }
    return replace(
        measurements, header=measurements.header | {"lock": lock, "lock_digest": digest_json(lock)}
    )


def _loss(measurements: Measurements, name: str) -> Loss:
    """Return the loss; for twins with the smallest beta that so few can show, where the default is smaller."""
    chosen = Loss.model_validate({"primary": (name,), "vetoes": ()})
    if name != "above_twins":
        return chosen
    sides = measurements.units.groupby("side").size()
    audit, twins = measurements.header["audit_id"], int(sides.get("twin", 0))
    likely = measurements.rows.loc[measurements.rows["metric"] == "nll", "subject"].unique()
    scored = set(measurements.units.loc[measurements.units["subject"].isin(likely), "side"])
    if not {"forget", "twin"} <= scored:
        cause = f"{audit}: above_twins needs the nll of forgotten subjects and of never-trained twins"
        raise AuditError("E145", cause, "log both, or judge by the loss answered")
    beta = max(chosen.beta, math.ceil(10_000 / (twins + 1)) / 10_000)
    listed = measurements.header["lists"]["forget"]["size"]
    design = power.SampleDesign(int(sides["forget"]), listed, Budget().forget)
    chance = power.perfect_certification(design, twins, twin_rank(twins, beta))
    if chance < power.LEAST_CHANCE:
        cause = (
            f"{audit}: beside {twins} twins a perfect model would be certified with probability {chance:.2f}"
        )
        remedy = f"needed is {power.LEAST_CHANCE:g}: leave it out with --only PATTERN, or judge by the loss answered"
        raise AuditError("E146", cause, remedy)
    return chosen.model_copy(update={"beta": beta})


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
