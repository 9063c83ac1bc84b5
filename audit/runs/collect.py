"""From finished jobs to the four files of the waist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit.attacks.base import ATTACKS, injects, samples_of
from audit.core.lazy import lazy
from audit.measurements.table import (
    KEY_COLUMNS,
    PROBE_COLUMNS,
    ROW_COLUMNS,
    SCHEMA_VERSION,
    UNIT_COLUMNS,
    Measurements,
)
from audit.metrics.base import METRICS
from audit.runs.job import Job, Jobs
from audit.runs.split import Unit
from audit.runs.world import World

pd = lazy("pandas")


@dataclass(frozen=True)
class Configured:
    """One configuration of a run: its name, role, checkpoint ("" when it could not be made) and measuring jobs.

    ``given_up``: planned jobs that nobody does, ``because`` of what the others have shown. ``looked``: side -> how many of
    its opened subjects, the first of the order, the done jobs of an attack have scored that is given up half-way.
    """

    configuration: str
    role: str
    checkpoint: str
    measures: tuple[Job, ...]
    failure: dict[str, Any] | None = None
    given_up: tuple[Job, ...] = ()
    because: str = ""
    looked: Mapping[str, int] = field(default_factory=dict)


def collect(
    world: World,
    configured: list[Configured],
    units: list[Unit],
    jobs: Jobs,
    *,
    known: Mapping[str, Sequence[str]],
) -> Measurements:
    """Join the rows of all measuring jobs, and say of every planned cell what became of it.

    ``known``: retained subject -> probes that the original answers right, listed before the split.
    """
    frames, coverage, unasked = [], [], []
    diagnostics: dict[tuple[str, str, str], float] = {}  # of the model, so equal in every job of an attack
    for item in configured:
        coverage += _coverage(item, jobs)
        for job in item.measures:
            result = jobs.result(job.key) if jobs.is_done(job.key) else None
            if result and result["state"] == "measured":
                frames.append(labelled(jobs.path(job.key) / "rows.parquet", item, job, world))
                unasked += not_asked(job, jobs)
                for name, value in sorted(result["diagnostics"].items()):
                    diagnostics[item.configuration, job.spec["attack"], name] = value
    rows = pd.concat(frames, ignore_index=True).drop_duplicates(list(KEY_COLUMNS), ignore_index=True)
    header = _header(world, configured, coverage) | {
        "diagnostics": [[*key, value] for key, value in diagnostics.items()],
        "not_asked": sorted(set(unasked)),
    }
    header["known"] = {subject: list(probes) for subject, probes in known.items()}
    return Measurements(
        rows.sort_values(list(KEY_COLUMNS), ignore_index=True), _units(world, units), _probes(world), header
    )


def labelled(path: Path, item: Configured, job: Job, world: World) -> Any:
    """Return the rows of one job with the columns that only the run knows."""
    frame = pd.read_parquet(path)
    frame["configuration"], frame["checkpoint"] = item.configuration, item.checkpoint
    frame["attack"], frame["seed"] = job.spec["attack"], world.lock.plan.seed
    return frame[list(ROW_COLUMNS)]


def not_asked(job: Job, jobs: Jobs) -> list[tuple[str, float, str, str]]:
    """Return (attack, dose, subject, probe) of the probes that the attack could not ask (no second wording)."""
    return [
        (job.spec["attack"], dose, subject, probe)
        for dose, subject, probe in jobs.result(job.key)["not_asked"]
    ]


_GRAVEST = ("failed", "stopped", "measured", "not_applicable")


def _coverage(item: Configured, jobs: Jobs) -> list[dict[str, Any]]:
    """Every planned cell of one configuration, once; of several jobs about it the gravest state counts."""
    found: dict[tuple[str, float, str], dict[str, Any]] = {}
    for job in (*item.measures, *item.given_up):
        if job in item.given_up:
            cells = [c | {"state": "stopped", "reason": item.because} for c in _cells(item, job, None, None)]
        else:
            result = jobs.result(job.key) if jobs.is_done(job.key) else None
            cells = _cells(item, job, result, item.failure or jobs.failure(job.key))
        for cell in cells:
            key = (cell["attack"], float(cell["dose"]), cell["side"])
            there = found.get(key, cell)
            graver = min(there, cell, key=lambda one: _GRAVEST.index(one["state"]))
            if {there["state"], cell["state"]} == {"measured", "stopped"}:
                graver = graver | {"subjects": item.looked.get(cell["side"], 0)}
            found[key] = there | graver
    return list(found.values())


def _cells(item: Configured, job: Job, result: dict | None, failure: dict | None) -> list[dict[str, Any]]:
    """Every planned (dose, side) of one job with its state."""
    attack = ATTACKS.build(job.spec["attack"])
    planned = [(dose, side) for dose in attack.doses for side in job.spec["sides"]]
    measured = {(dose, side) for dose, side in result["cells"]} if result else set()
    cells = []
    for dose, side in planned:
        state, reason = _state(dose, side, attack, measured, result, failure)
        cell: dict[str, Any] = {
            "configuration": item.configuration,
            "attack": job.spec["attack"],
            "dose": dose,
            "side": side,
        }
        cells.append(cell | {"state": state, "reason": reason})
    return cells


def _state(
    dose: float, side: str, attack: Any, measured: set, result: dict | None, failure: dict | None
) -> tuple[str, str]:
    if (dose, side) in measured:
        return "measured", ""
    if result and result["state"] == "not_applicable":
        return "not_applicable", result["reason"]
    if result and side == "twin" and dose != max(attack.doses):
        return "not_applicable", "twins are scored at the last dose"
    if result:
        return "not_applicable", f"no {side} probe can be asked this way"
    return "failed", f"{failure['code']} {failure['cause']}" if failure else "E301 the job did not finish"


def _header(world: World, configured: list[Configured], coverage: list[dict[str, Any]]) -> dict[str, Any]:
    lock, corpus = world.lock, world.corpus
    return {
        "schema_version": SCHEMA_VERSION,
        "audit_id": lock.audit_id,
        "lock": lock.content,
        "lock_digest": lock.digest,
        "locked_at": lock.locked_at,
        "lists": {
            side: {
                "name": name,
                "digest": lock.content["lists"][side],
                "size": len(corpus.side(side)),
                "drawn": "lock+checkpoints",
            }
            for side, name in corpus.lists
        },
        "metrics": [
            {
                "name": n,
                "version": METRICS[n].version,
                "direction": METRICS[n].direction,
                "range": list(METRICS[n].range),
            }
            for n in lock.content["metrics"]
        ],
        "attacks": [_attack_record(text) for text in lock.attacks],
        "configurations": [
            {
                "configuration": c.configuration,
                "role": c.role,
                "checkpoint": c.checkpoint,
                "recipe": c.configuration if c.role == "candidate" else "",
                "status": "failed" if c.failure else "made",
            }
            for c in configured
        ],
        "losses": "fixed",
        "coverage": coverage,
    }


def _attack_record(text: str) -> dict[str, Any]:
    attack = ATTACKS.build(text)
    return {
        "attack": text,
        "tier": attack.tier,
        "doses": list(attack.doses),
        "dose_unit": attack.dose_unit,
        "version": attack.version,
        "samples": samples_of(attack),
        "injects": injects(attack),
    }


def _units(world: World, units: list[Unit]) -> Any:
    names = dict(world.corpus.lists)
    rows = [
        (
            u.subject,
            u.side,
            names[u.side],  # type: ignore[index]
            u.split,
            u.order,
            world.halves.get(u.subject, 0),
            u.auditable,
            u.group,
        )  # type: ignore[index]
        for u in units
    ]
    return pd.DataFrame(rows, columns=list(UNIT_COLUMNS)).sort_values("subject", ignore_index=True)


def _probes(world: World) -> Any:
    rows = [
        (p.subject, p.probe, p.kind, p.form, p.entropy_bits, None)
        for side in ("forget", "retain", "twin")
        for s in world.corpus.side(side)  # type: ignore[arg-type]
        for p in s.probes
    ]
    frame = pd.DataFrame(rows, columns=list(PROBE_COLUMNS)).sort_values(
        ["subject", "probe"], ignore_index=True
    )
    return frame.astype({"entropy_bits": "float64", "answer_tokens": "float64"})
