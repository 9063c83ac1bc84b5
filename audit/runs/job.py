"""One job, one directory named by the digest of everything that decides its outcome.

Written in a temporary folder, renamed, and only then marked DONE: whatever is found without the marker was
interrupted and is done again. Two checkpoints can never share a result, because the weights' digest is in the key.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.core.digest import digest_json


@dataclass(frozen=True)
class Job:
    """A unit of work.

    ``spec`` holds everything that decides the outcome and nothing else; ``label`` is for people; ``cost`` orders
    the queue, dearest first (seconds or any other common unit).
    """

    spec: dict[str, Any]
    label: str
    cost: float = 1.0

    @property
    def key(self) -> str:
        """SHA-256 of the canonical spec."""
        return digest_json(self.spec)


class Jobs:
    """The job directories of one run."""

    def __init__(self, run: Path) -> None:
        self.folder = run / "jobs"
        self.failures = run / "failed"

    def path(self, key: str) -> Path:
        """Return the directory of a job, done or not."""
        return self.folder / key

    def is_done(self, key: str) -> bool:
        """Return whether the marker stands."""
        return (self.path(key) / "DONE").is_file()

    def result(self, key: str) -> dict[str, Any]:
        """Return the job's ``result.json``."""
        return json.loads((self.path(key) / "result.json").read_text(encoding="utf-8"))

    def perform(self, job: Job, work: Callable[[Path], dict[str, Any]]) -> None:
        """Let ``work`` fill a temporary folder and return the result; then publish it.

        The steps are: fill, rename, mark. A kill between any two leaves a job that is simply not done.
        """
        temporary = self.folder / f".{job.key}.{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        result = work(temporary)
        write_json(temporary / "spec.json", job.spec)
        write_json(temporary / "result.json", result)
        self._publish(temporary, job.key)

    def _publish(self, temporary: Path, key: str) -> None:
        target = self.path(key)
        if target.exists() and not self.is_done(key):
            shutil.rmtree(target)
        if self.is_done(key):  # another worker was faster with the same content
            shutil.rmtree(temporary)
            return
        os.rename(temporary, target)
        self._mark(target)

    def _mark(self, target: Path) -> None:
        (target / "DONE").touch()
        (self.failures / f"{target.name}.json").unlink(missing_ok=True)

    def fail(self, job: Job, reason: dict[str, Any]) -> None:
        """Record why a job could not be done, and from which weights it would be tried again."""
        self.failures.mkdir(parents=True, exist_ok=True)
        needed = [job.spec[name] for name in ("made", "checkpoint") if name in job.spec]
        write_json(self.failures / f"{job.key}.json", {"label": job.label, "needs": needed, **reason})

    def failure(self, key: str) -> dict[str, Any] | None:
        """Return the recorded failure of a job, or None."""
        path = self.failures / f"{key}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def needed_again(self) -> set[str]:
        """Return the digests of the weights that failed jobs start from."""
        return {
            digest
            for path in self.failures.glob("*.json")
            for digest in json.loads(path.read_text())["needs"]
        }

    def clear_leftovers(self, is_held: Callable[[str], bool]) -> None:
        """Remove temporary folders, unmarked jobs and old failures; called before workers start.

        Jobs that ``is_held`` names by key stay: a worker may outlive its coordinator until its job is done.
        """
        shutil.rmtree(self.failures, ignore_errors=True)
        for folder in self.folder.glob("*") if self.folder.is_dir() else ():
            key = folder.name.lstrip(".").partition(".")[0]  # of a temporary folder: .KEY.PID
            if not (folder / "DONE").is_file() and not is_held(key):
                shutil.rmtree(folder)


def write_json(path: Path, value: Any) -> None:
    """Write JSON through a temporary file and a rename, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")
    os.replace(temporary, path)
