"""The validity study: every cell, every procedure that must be caught, the same result on any machine.

Replications come in chunks, each with a random stream named after its cell and its number, so the counts do
not depend on how many processes share the work.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.core.errors import AuditError
from audit.core.progress import NullProgress, Progress
from audit.core.seeds import generator
from audit.risk.validation.base import INVALID, PARTS, Cell
from audit.risk.validation.result import INVALID_PART, Row, Study

SIZES = {"quick": (2_000, 250), "full": (10_000, 10_000)}  # replications per cell, and per slow cell
CHUNK = 500  # replications that share one random stream; part of what "same result" means
STAGE = "validate"


@dataclass(frozen=True)
class InvalidCell:
    """A procedure known to be invalid as a cell of its own; the label says what is wrong with it."""

    procedure: str
    slow: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """First line of the class docstring."""
        return (INVALID[self.procedure].__doc__ or "").partition("\n")[0].removesuffix(".")

    @property
    def promised(self) -> float:
        """The rate that the procedure claims."""
        return INVALID[self.procedure].promised

    @property
    def procedures(self) -> tuple[str, ...]:
        """The procedure itself."""
        return (self.procedure,)

    def violations(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (1,) broken promises."""
        return np.array([INVALID[self.procedure]().violations(random, replications)])


@dataclass(frozen=True)
class Chunk:
    """Some replications of one cell."""

    cell: Cell
    number: int
    replications: int
    seed: int

    def count(self) -> np.ndarray:
        """Return (P,) violations in this chunk."""
        random = generator(self.seed, "validity", self.cell.label, self.number)
        return np.asarray(self.cell.violations(random, self.replications), dtype=np.int64)


def validate(
    size: str = "quick", *, processes: int = 2, seed: int = 0, progress: Progress | None = None
) -> Study:
    """Run the study of ``size`` (a key of ``SIZES``) and return its counts and verdicts.

    Raises E462 for an unknown size.
    """
    if size not in SIZES:
        raise AuditError("E462", f"no validity study is called {size!r}", f"sizes: {', '.join(SIZES)}")
    began = time.monotonic()
    parts = [(name, cell) for name in PARTS.names() for cell in PARTS[name]().cells()]
    parts += [(INVALID_PART, InvalidCell(name)) for name in INVALID.names()]
    cells = [cell for _, cell in parts]
    replications = [SIZES[size][cell.slow] for cell in cells]
    found = counts(cells, replications, processes, seed, progress)
    rows = tuple(
        Row.of(part, cell.label, procedure, cell.promised, int(count), repeated)
        for (part, cell), repeated, row in zip(parts, replications, found, strict=True)
        for procedure, count in zip(cell.procedures, row, strict=True)
    )
    valid = tuple(row for row in rows if row.part != INVALID_PART)
    invalid = tuple(row for row in rows if row.part == INVALID_PART)
    return Study(size, seed, processes, time.monotonic() - began, valid, invalid)


def counts(
    cells: Sequence[Cell],
    replications: Sequence[int],
    processes: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[np.ndarray]:
    """Return per cell the (P,) violations of its procedures; the number of processes changes nothing."""
    progress = progress or NullProgress()
    work = [_chunks(cell, repeated, seed) for cell, repeated in zip(cells, replications, strict=True)]
    progress.start(STAGE, len(cells))
    found: list[np.ndarray] = []
    with _mapping(processes) as mapped:
        results = iter(mapped(Chunk.count, [chunk for chunks in work for chunk in chunks]))
        for cell, chunks in zip(cells, work, strict=True):
            found.append(np.sum([next(results) for _ in chunks], axis=0))
            progress.advance(STAGE, message=cell.label)
    progress.finish(STAGE)
    return found


def _chunks(cell: Cell, replications: int, seed: int) -> list[Chunk]:
    starts = range(0, replications, CHUNK)
    return [Chunk(cell, i, min(CHUNK, replications - start), seed) for i, start in enumerate(starts)]


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterable[np.ndarray]]]:
    """Yield ``map``, or that of a pool of fresh processes with one thread each."""
    if processes == 1:
        yield map
        return
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # read when a child first imports NumPy
    try:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            try:
                yield pool.map
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        if threads is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = threads
