"""Progress as an interface with a null object; the library never prints."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Protocol, TextIO

from audit.core.lazy import lazy

rich_progress = lazy("rich.progress")
rich_console = lazy("rich.console")


class Progress(Protocol):
    """What long work reports to. A stage has a name, a total of steps and a message."""

    def start(self, stage: str, total: int) -> None:
        """Open ``stage`` with ``total`` steps to do (0 = unknown)."""

    def advance(self, stage: str, steps: int = 1, message: str = "") -> None:
        """Say that ``steps`` more are done; ``message`` names what is under way."""

    def finish(self, stage: str) -> None:
        """Close ``stage``."""


class NullProgress:
    """Reports nothing."""

    def start(self, stage: str, total: int) -> None:
        """Ignore."""

    def advance(self, stage: str, steps: int = 1, message: str = "") -> None:
        """Ignore."""

    def finish(self, stage: str) -> None:
        """Ignore."""


class JsonLines:
    """One JSON line per state change, for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._totals: dict[str, tuple[int, int, float]] = {}

    def start(self, stage: str, total: int) -> None:
        """Write a line with state ``start``."""
        self._totals[stage] = (0, total, time.monotonic())
        self._write(stage, "start", "")

    def advance(self, stage: str, steps: int = 1, message: str = "") -> None:
        """Write a line with state ``advance``, if anything was done."""
        done, total, began = self._totals.get(stage, (0, 0, time.monotonic()))
        self._totals[stage] = (done + steps, total, began)
        if steps:
            self._write(stage, "advance", message)

    def finish(self, stage: str) -> None:
        """Write a line with state ``done``."""
        self._write(stage, "done", "")

    def _write(self, stage: str, state: str, message: str) -> None:
        done, total, began = self._totals.get(stage, (0, 0, time.monotonic()))
        line: dict[str, Any] = {"stage": stage, "state": state, "done": done, "total": total}
        line["elapsed_seconds"] = round(time.monotonic() - began, 1)
        if message:
            line["message"] = message
        print(json.dumps(line), file=self.stream, flush=True)


class Bars:
    """Live bars on a terminal, with elapsed and remaining time."""

    def __init__(self) -> None:
        columns = [
            rich_progress.TextColumn("{task.description:<28}"),
            rich_progress.BarColumn(bar_width=24),
            rich_progress.MofNCompleteColumn(),
            rich_progress.TimeElapsedColumn(),
            rich_progress.TextColumn("left"),
            rich_progress.TimeRemainingColumn(),
            rich_progress.TextColumn("[dim]{task.fields[message]}"),
        ]
        self._display = rich_progress.Progress(*columns, console=rich_console.Console(stderr=True))
        self._tasks: dict[str, Any] = {}

    def start(self, stage: str, total: int) -> None:
        """Add a bar."""
        self._display.start()
        self._tasks[stage] = self._display.add_task(stage, total=total or None, message="")

    def advance(self, stage: str, steps: int = 1, message: str = "") -> None:
        """Move the bar of ``stage``."""
        self._display.update(self._tasks[stage], advance=steps, message=message)

    def finish(self, stage: str) -> None:
        """Complete the bar; the display stops with the last open one."""
        task = self._tasks.pop(stage)
        total = next(t.total for t in self._display.tasks if t.id == task)
        self._display.update(task, completed=total or 1, total=total or 1, message="")
        if not self._tasks:
            self._display.stop()


def for_terminal(quiet: bool = False) -> Progress:
    """Return bars on a terminal, JSON lines elsewhere, nothing when ``quiet``."""
    if quiet:
        return NullProgress()
    return Bars() if sys.stderr.isatty() else JsonLines()
