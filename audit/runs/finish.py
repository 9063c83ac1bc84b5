"""After the verdict: weights nobody needs go, and what was written is handed to the leak check."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from audit.data.records import Subject
from audit.runs.job import Jobs
from audit.runs.world import World


def drop_refused_weights(run: Path, keep: set[str]) -> int:
    """Remove trained candidates' weights that are not in ``keep`` (``keep: valid``); return how many went.

    Digests and recipes stay. References and checkpoints outside the run directory are never touched.
    """
    world, jobs = World(run), Jobs(run)
    if world.lock.plan.keep == "all":
        return 0
    gone = 0
    for result in sorted(jobs.folder.glob("*/result.json")):
        folder = result.parent
        record = jobs.result(folder.name)
        if _kind(folder) == "unlearn" and record["checkpoint"] not in keep and (folder / "weights").is_dir():
            shutil.rmtree(folder / "weights")
            gone += 1
    return gone


def outputs(run: Path) -> list[Path]:
    """Return every file a run has written, except weights and tokenizers."""
    return sorted(p for p in run.rglob("*") if p.is_file() and "weights" not in p.relative_to(run).parts)


def forget_list(run: Path) -> tuple[Subject, ...]:
    """Return the subjects whose texts no output may hold."""
    return World(run).raw_corpus.forget


def _kind(folder: Path) -> str:
    return json.loads((folder / "spec.json").read_text(encoding="utf-8"))["kind"]
