"""A look at a running or finished audit, from its files alone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from audit.methods.compose import parse_recipe
from audit.plan.lock import read_lock
from audit.runs.job import Job, Jobs
from audit.runs.lease import COORDINATOR, Leases


@dataclass(frozen=True)
class Failure:
    """What could not be done, why, and what to do; ``label`` is the job's, with the step of a checkpoint."""

    label: str
    code: str
    cause: str
    remedy: str

    def text(self) -> str:
        """Return the failure as one line."""
        return f"{self.label}: {self.code} {self.cause} → {self.remedy}"


@dataclass(frozen=True)
class Status:
    """``stage`` is the stage in the queue; ``done``, ``running``, ``failed`` and ``total`` count its jobs."""

    audit_id: str
    candidates: int
    state: str  # locked | running | interrupted | measured | certified
    stage: str
    total: int
    done: int
    running: tuple[str, ...]
    failed: tuple[str, ...]
    jobs_done: int

    def to_json(self) -> dict[str, Any]:
        """Return a plain JSON object."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the status as text."""
        out = [
            f"audit {self.audit_id}: {self.candidates} candidates, {self.state}, {self.jobs_done} jobs done in all"
        ]
        if self.total:
            out.append(f"stage {self.stage!r}: {self.done} of {self.total} done")
        out += [f"  running  {label}" for label in self.running]
        out += [f"  failed   {label}" for label in self.failed]
        return out


def look(run: Path) -> Status:
    """Return the status of a run directory."""
    lock, jobs = read_lock(run), Jobs(run)
    path = run / "queue.json"
    queue = (
        json.loads(path.read_text(encoding="utf-8"))
        if path.is_file()
        else {"closed": True, "jobs": [], "stage": ""}
    )
    listed = [Job(**record) for record in queue["jobs"]]
    return Status(
        audit_id=lock.audit_id,
        candidates=len(lock.configurations),
        state=_state(run, queue),
        stage=queue["stage"],
        total=len(listed),
        done=sum(jobs.is_done(job.key) for job in listed),
        running=tuple(
            job.label for job in listed if (run / "leases" / job.key).exists() and not jobs.is_done(job.key)
        ),
        failed=tuple(failure.text() for failure in failures(run)),
        jobs_done=sum(1 for _ in (run / "jobs").glob("*/DONE")) if (run / "jobs").is_dir() else 0,
    )


def failures(run: Path) -> list[Failure]:
    """Return every recorded failure: of jobs, and of single checkpoints inside trainings that went on."""
    records = [_read(path) for path in sorted((run / "failed").glob("*.json"))]
    for path in sorted((run / "jobs").glob("*/result.json")):
        for step, made in _read(path).get("checkpoints", {}).items():
            if "code" in made:
                recipe = parse_recipe(_read(path.with_name("spec.json"))["recipe"])
                records.append(made | {"label": f"{recipe.short} at {step}"})
    return [Failure(r["label"], r["code"], r["cause"], r["remedy"]) for r in records]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _state(run: Path, queue: dict[str, Any]) -> str:
    if not queue["closed"]:
        held = Leases(run).is_held(COORDINATOR)
        return "running" if held else "interrupted: the same `run` command continues"
    if (run / "evidence.json").is_file():
        return "certified"
    if (run / "measurements" / "header.json").is_file():
        return "measured"
    return "interrupted" if (run / "queue.json").is_file() else "locked"
