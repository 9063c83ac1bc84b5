"""A worker process: pulls jobs of the current stage until the queue is closed.

Started by a backend as ``python -m audit.runs.worker RUN DEVICE``. It takes leases, does jobs, records failures,
and ends when the coordinator closes the queue or is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.runs.job import Job, Jobs
from audit.runs.lease import Leases
from audit.runs.tasks import perform
from audit.runs.world import World

torch = lazy("torch")

POLL_SECONDS = 0.1


def work(run: Path, device: str) -> None:
    """Pull jobs until the queue says closed; leave quietly when the coordinator died."""
    parent = os.getppid()
    torch.set_num_threads(1)  # two processes with one thread each beat one with two on small models
    world, jobs, leases = World(run, device=device), Jobs(run), Leases(run)
    while os.getppid() == parent:
        queue = _queue(run)
        if queue["closed"]:
            return
        if not any(_try(Job(**record), jobs, leases, world) for record in queue["jobs"]):
            time.sleep(POLL_SECONDS)


def _try(job: Job, jobs: Jobs, leases: Leases, world: World) -> bool:
    """Do one job if it is open and free; return whether it was."""
    if jobs.is_done(job.key) or jobs.failure(job.key) or not leases.take(job.key):
        return False
    stop = leases.keep_alive(job.key)
    _forget_peak()
    began, busy = time.monotonic(), time.process_time()
    try:
        if not jobs.is_done(job.key):
            jobs.perform(job, lambda folder: perform(job.spec, folder, world))
    except AuditError as error:
        jobs.fail(job, {"code": error.code, "cause": error.cause, "remedy": error.remedy})
    except Exception as error:
        jobs.fail(job, _without_text(error))
    finally:
        stop.set()
        leases.release(job.key)
    _note_cost(world.run, job, time.monotonic() - began, time.process_time() - busy)
    return True


def _forget_peak() -> None:
    """Let the process's peak memory start anew, so that each job's is its own; only Linux can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _note_cost(run: Path, job: Job, seconds: float, cpu_seconds: float) -> None:
    """Append what the job took; a log for people and benchmarks, never a measurement of the audit."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
    line = {
        "kind": job.spec["kind"],
        "label": job.label,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "peak_bytes": peak,
    }
    with (run / "logs" / f"costs-{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _without_text(error: Exception) -> dict[str, Any]:
    """Describe an unexpected exception by type and place; its message could quote data."""
    places = [
        f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)[-4:]
    ]
    cause = f"{type(error).__name__} at {' < '.join(reversed(places))}"
    return {"code": "E300", "cause": cause, "remedy": "run again; report it if it stays"}


def _queue(run: Path) -> dict[str, Any]:
    path = run / "queue.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"closed": False, "jobs": []}


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2])
