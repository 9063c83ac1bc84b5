"""Breaking the seal: the sealed units are measured once, for one checkpoint named beforehand, under every attack."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from audit.core.digest import digest_json
from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.progress import NullProgress, Progress
from audit.measurements import store
from audit.measurements.table import KEY_COLUMNS, Measurements
from audit.runs.collect import Configured, labelled, not_asked
from audit.runs.coordinator import MEASUREMENTS, Coordinator
from audit.runs.specs import measure_job, numerics

pd = lazy("pandas")


def open_seal(
    run: Path,
    checkpoint: str,
    *,
    device: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Measure the sealed units for ``checkpoint`` and add them to RUN/measurements; resumable, but once only.

    Raises E470 when the checkpoint was given up for futility, E505 when the weights are gone, E507 when the seal
    was broken for another checkpoint, E508 when nothing is sealed.
    """
    break_seal(
        Coordinator(run, device=device, workers=workers, progress=progress or NullProgress()), checkpoint
    )


def break_seal(coordinator: Coordinator, checkpoint: str) -> None:
    """Do the same with a coordinator that is there already, and its workers if they are at work."""
    run = coordinator.run
    measurements = store.read(run / MEASUREMENTS)
    sealed = _sealed(measurements)
    _refuse_stopped(measurements, checkpoint)
    _record_opening(coordinator, checkpoint, sealed)
    item = _configured(coordinator, measurements, checkpoint, sealed)
    coordinator.perform("open the sealed subjects", list(item.measures))
    store.write(run / MEASUREMENTS, _joined(coordinator, measurements, item))


def _sealed(measurements: Measurements) -> dict[str, list[str]]:
    units = measurements.units
    chosen = units[(units["split"] == "sealed") & units["auditable"]]
    sealed = {side: sorted(chosen[chosen["side"] == side]["subject"]) for side in ("forget", "retain")}
    if not sealed["forget"]:
        raise AuditError(
            "E508", "no forget subject of this run is sealed", "plan `sizes.forget.sealed` in the next audit"
        )
    twins = units[(units["side"] == "twin") & (units["split"] == "threshold")]
    return sealed | {"twin": sorted(twins["subject"])}


def _refuse_stopped(measurements: Measurements, checkpoint: str) -> None:
    """The seal is worth nothing for a checkpoint whose other subjects were not scored under every attack."""
    records = {c["configuration"]: c["checkpoint"] for c in measurements.header["configurations"]}
    stopped = [c for c in measurements.header["coverage"] if c["state"] == "stopped"]
    if any(records[c["configuration"]] == checkpoint for c in stopped):
        raise AuditError(
            "E470",
            f"checkpoint {checkpoint[:12]} was stopped for futility: it is shown to exceed a budget",
            "confirm one that was measured under every attack",
        )


def _record_opening(coordinator: Coordinator, checkpoint: str, sealed: dict[str, list[str]]) -> None:
    """Write the opening before anything is measured: what was asked for stays on record even if the run dies."""
    lock, ledger = coordinator.world.lock, coordinator.ledger
    earlier = ledger.sealed_opening(lock.digest)
    if earlier and earlier.checkpoint != checkpoint:
        raise AuditError(
            "E507",
            f"the seal was broken for checkpoint {earlier.checkpoint[:12]}, {checkpoint[:12]} was asked for",
            "the sealed subjects speak for one checkpoint; another one needs a new audit",
        )
    if earlier is None:
        coordinator.world.locate(checkpoint)  # weights that are gone must not cost the seal
    family = json.loads((coordinator.run / "split.json").read_text(encoding="utf-8"))["family_digest"]
    for side in ("forget", "retain"):
        ledger.record(
            list_digest=lock.content["lists"][side],
            side=side,
            lock_digest=lock.digest,
            split="sealed",
            checkpoint=checkpoint,
            family_digest=family,
            units=sealed[side],
        )


def _configured(
    coordinator: Coordinator, measurements: Measurements, checkpoint: str, sealed: dict[str, list[str]]
) -> Configured:
    records = measurements.header["configurations"]
    name = next(
        r["configuration"] for r in records if r["checkpoint"] == checkpoint and r["role"] == "candidate"
    )
    references = {r["role"]: r["checkpoint"] for r in records if r["role"] != "candidate"}
    numeric = numerics(coordinator.device)
    world = coordinator.world
    jobs = tuple(
        measure_job(world, name, checkpoint, references, a, sealed, numeric) for a in world.lock.attacks
    )
    return Configured(name, "candidate", checkpoint, jobs)


def _joined(coordinator: Coordinator, measurements: Measurements, item: Configured) -> Measurements:
    jobs = coordinator.jobs
    for job in item.measures:
        if failure := jobs.failure(job.key):
            cause = f"the sealed subjects could not be measured: {failure['cause']}"
            raise AuditError(failure["code"], cause, failure["remedy"])
    done = [job for job in item.measures if jobs.result(job.key)["state"] == "measured"]
    fresh = [labelled(jobs.path(job.key) / "rows.parquet", item, job, coordinator.world) for job in done]
    rows = pd.concat([measurements.rows, *fresh], ignore_index=True).drop_duplicates(
        list(KEY_COLUMNS), ignore_index=True
    )
    header = measurements.header | {
        "confirmed": {
            "configuration": item.configuration,
            "checkpoint": item.checkpoint,
            "digest": digest_json([j.key for j in item.measures]),
        },
        "not_asked": measurements.header["not_asked"] + [r for job in done for r in not_asked(job, jobs)],
    }
    header["not_asked"] = sorted(set(map(tuple, header["not_asked"])))
    return replace(measurements, rows=rows.sort_values(list(KEY_COLUMNS), ignore_index=True), header=header)
