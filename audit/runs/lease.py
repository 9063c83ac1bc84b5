"""Leases: who works on which job. A lease of a dead worker may be taken over, of a live one never.

A lease is a file created with O_EXCL. It names the host, the process and that process's start time (a reused
process number is not the same worker), and its modification time is the heartbeat.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEARTBEAT_SECONDS = 5.0
COORDINATOR = "coordinator"  # the lease of whoever runs a run directory
EXPIRED_SECONDS = 60.0  # only used for workers of other hosts, whose processes cannot be looked at


class Leases:
    """The lease files of one run."""

    def __init__(self, run: Path) -> None:
        self.folder = run / "leases"
        self.folder.mkdir(parents=True, exist_ok=True)

    def take(self, key: str) -> bool:
        """Take the lease of job ``key``; False when a live worker holds it."""
        path = self.folder / key
        if self._create(path):
            return True
        if not _is_dead(path):
            return False
        with self._one_at_a_time():
            # Looked at again: whoever was here before may have put a live lease in its place.
            if not _is_dead(path):
                return False
            path.unlink(missing_ok=True)
            return self._create(path)

    def is_held(self, key: str) -> bool:
        """Return whether a live worker holds the lease of job ``key``."""
        path = self.folder / key
        return path.exists() and not _is_dead(path)

    def is_abandoned(self, key: str) -> bool:
        """Return whether the worker that holds the lease of job ``key`` is dead."""
        return _is_dead(self.folder / key)

    def release(self, key: str) -> None:
        """Give the lease back."""
        (self.folder / key).unlink(missing_ok=True)

    def keep_alive(self, key: str) -> threading.Event:
        """Touch the lease every few seconds until the returned event is set."""
        stop = threading.Event()
        threading.Thread(target=_beat, args=(self.folder / key, stop), daemon=True).start()
        return stop

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Hold a lock of the operating system, which goes with its holder however that one ends."""
        with (self.folder / ".takeover").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _create(self, path: Path) -> bool:
        # Written beside and linked: the lease appears with its content or not at all.
        draft = path.with_name(f".draft.{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(_myself()), encoding="utf-8")
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        try:
            os.utime(path)
        except FileNotFoundError:
            return


def _myself() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}


def _is_dead(path: Path) -> bool:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        beat = path.stat().st_mtime
    except (FileNotFoundError, ValueError):
        return False  # given back a moment ago; the next look decides
    if holder["host"] == socket.gethostname():
        return _started(holder["pid"]) != holder["started"]
    return time.time() - beat > EXPIRED_SECONDS


def _started(pid: int) -> str | None:
    """Return the start time of a process in clock ticks since boot, None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _alive_without_proc(pid)
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _alive_without_proc(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return "alive"
