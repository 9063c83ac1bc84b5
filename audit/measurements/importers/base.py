"""What an importer promises: numbers in, text dropped, one audit per base model and forget list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from audit.core.errors import AuditError
from audit.core.registry import Registry
from audit.measurements.table import Measurements


@dataclass(frozen=True)
class Request:
    """What the user decides about an import.

    Attributes
    ----------
    key: key of the pseudonyms; never stored.
    seed: the random order, and the sample if one is drawn, derive from it and from the logs' digests.
    roles: (role, glob over the log's folder relative to the import's) pairs; the first match wins over names.
    sample: units to open per side (forget, retain); None takes all of them, a census of what was logged.

    """

    key: bytes
    seed: int | str = 0
    roles: tuple[tuple[str, str], ...] = ()
    sample: int | None = None

    def __post_init__(self) -> None:
        if self.sample is not None and self.sample < 1:
            raise AuditError(
                "E137", f"a sample of {self.sample} units proves nothing", "draw at least one unit"
            )


@runtime_checkable
class Importer(Protocol):
    """A frozen dataclass without state.

    ``read`` keeps every finite per-sample number of the logs under a folder, keys subjects before it drops
    the text, and leaves the folder as it is. Same folder and request, same measurements.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    source: ClassVar[str]

    def read(self, folder: Path, request: Request) -> list[Measurements]:
        """Return one ``Measurements`` per audit, in order of their names; raises E130 to E136."""
        ...


IMPORTERS: Registry[Importer] = Registry("importer", "audit.measurements.importers")


def importers_table() -> list[dict[str, Any]]:
    """Return one row per importer, sorted by name: what it reads, its version, the source."""
    return [
        {
            "importer": name,
            "about": (IMPORTERS[name].__doc__ or "").partition("\n")[0],
            "version": IMPORTERS[name].version,
            "source": IMPORTERS[name].source,
        }
        for name in IMPORTERS
    ]
