"""Worker processes on this machine: one per GPU, else one single-threaded process per core."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from audit.core.lazy import lazy
from audit.models.load import resolve_device

torch = lazy("torch")

_CARDS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")


@dataclass
class LocalBackend:
    """Starts ``count`` workers and replaces those that die.

    ``device`` is ``auto``, ``cpu`` or ``cuda``; on CUDA worker i gets card i modulo the number of cards.
    """

    run: Path
    count: int
    device: str = "auto"
    _workers: list[subprocess.Popen] = field(default_factory=list)
    _starts: int = 0

    def start_workers(self) -> None:
        """Start all workers."""
        self._workers = [self._start(i) for i in range(self.count)]

    def poll(self) -> int:
        """Replace dead workers; return how many had died since the last look."""
        dead = [i for i, worker in enumerate(self._workers) if worker.poll() is not None]
        for i in dead:
            self._workers[i] = self._start(i)
        return len(dead)

    def stop(self) -> None:
        """Wait shortly for workers to end by themselves, then end them."""
        for worker in self._workers:
            try:
                worker.wait(timeout=10)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def kill(self) -> None:
        """End all workers at once; their jobs stay open."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.wait()

    def _start(self, index: int) -> subprocess.Popen:
        log = (self.run / "logs" / f"worker{index}.log").open("ab")
        # Spinning OpenMP barriers cost up to 20 times as soon as anything else runs on a core.
        environment = {
            **os.environ,
            "OMP_WAIT_POLICY": "passive",
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        device = self._device(index)
        command = [sys.executable, "-m", "audit.runs.worker", str(self.run), device]
        try:
            return subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        finally:
            log.close()

    def _device(self, index: int) -> str:
        if device_kind(self.device) != "cuda":
            return self.device if self.device != "auto" else "cpu"
        return f"cuda:{index % torch.cuda.device_count()}"


def device_kind(device: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` and ``cuda``.

    A Linux machine without an accelerator's device file has none: asking torch would cost seconds of imports.
    """
    if device == "cpu" or (
        device == "auto" and sys.platform == "linux" and not any(map(os.path.exists, _CARDS))
    ):
        return "cpu"
    return resolve_device(device).type


def default_workers(device: str) -> int:
    """Return one worker per card on CUDA, else one per core, at most two (memory, and job sizes)."""
    return torch.cuda.device_count() if device_kind(device) == "cuda" else min(2, os.cpu_count() or 1)
