"""After the verdict: weights nobody needs go, and what was written is handed to the leak check."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from audit.data.records import Subject
from audit.runs.job import Jobs
from audit.runs.world import World


def drop_refused_weights(run: Path, keep: set[str]) -> int:
    """Remove trained candidates' weights that are not in ``keep`` (``keep: valid``); return how many went.

    Digests and recipes stay, and weights from which a failed job would be tried again. References and checkpoints
    outside the run directory are never touched.
    """
    world, jobs = World(run), Jobs(run)
    if world.lock.plan.keep == "all":
        return 0
    keep, gone = keep | jobs.needed_again(), 0
    for result in sorted(jobs.folder.glob("*/result.json")):
        folder = result.parent
        for place, record in _made(folder, jobs.result(folder.name)):
            if record.get("checkpoint") not in keep and (place / "weights").is_dir():
                shutil.rmtree(place / "weights")
                gone += 1
    return gone


def outputs(run: Path) -> list[Path]:
    """Return every file a run has written, except weights and tokenizers."""
    return sorted(p for p in run.rglob("*") if p.is_file() and "weights" not in p.relative_to(run).parts)


def forget_list(run: Path) -> tuple[Subject, ...]:
    """Return the subjects whose texts no output may hold."""
    return World(run).raw_corpus.forget


def _made(folder: Path, result: dict[str, Any]) -> list[tuple[Path, dict[str, Any]]]:
    """Return (folder, record) of each checkpoint that a candidate's job made; none of any other job."""
    kind = json.loads((folder / "spec.json").read_text(encoding="utf-8"))["kind"]
    if kind not in ("unlearn", "calibrate"):
        return []
    return [(folder / step, record) for step, record in result.get("checkpoints", {"": result}).items()]
