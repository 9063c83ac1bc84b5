"""The project's own state beside the plan: the pseudonym key and the ledger of opened units.

Neither ever lies in a run directory or a bundle: whoever holds the key can link pseudonyms to people.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit.core.digest import digest_bytes
from audit.core.errors import AuditError

STATE_FOLDER = ".unlearn-audit"


def pseudonym_key(project: Path, laboratory_seed: int | None) -> bytes:
    """Return the 32-byte key; made once per project (mode 0600), the laboratory's derives from its seed."""
    if laboratory_seed is not None:
        return bytes.fromhex(digest_bytes(f"laboratory pseudonyms {laboratory_seed}".encode()))
    path = project / STATE_FOLDER / "key"
    if not path.exists():
        _make_key(path)
    return bytes.fromhex(path.read_text(encoding="ascii").strip())


def _make_key(path: Path) -> None:
    """Write a new key beside ``path`` and link it there: whoever reads it reads all 32 bytes."""
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f".key.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
    ) as file:
        file.write(secrets.token_hex(32))
    with contextlib.suppress(FileExistsError):  # another process was faster; its key is the project's
        os.link(draft, path)
    draft.unlink()


@dataclass(frozen=True)
class Opening:
    """One line of the ledger: these units of this list were looked at under this lock."""

    list_digest: str
    side: str
    lock_digest: str
    split: str  # calibrate | sealed
    checkpoint: str  # the one checkpoint for sealed units, "" for calibrate
    family_digest: str
    units: tuple[str, ...]
    time: str


class Ledger:
    """The append-only list of openings of one project."""

    def __init__(self, project: Path) -> None:
        self.path = project / STATE_FOLDER / "ledger.jsonl"

    def openings(self) -> list[Opening]:
        """Return all lines; E503 when one is damaged."""
        if not self.path.is_file():
            return []
        try:
            records = [
                json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines() if line
            ]
            return [Opening(**{**record, "units": tuple(record["units"])}) for record in records]
        except (ValueError, TypeError, KeyError):
            raise AuditError(
                "E503", "the ledger of opened units is damaged", f"restore {STATE_FOLDER}/ledger.jsonl"
            ) from None

    def opened_before(self, list_digest: str, lock_digest: str) -> set[str]:
        """Return units of a list that audits with another lock have opened."""
        return {
            unit
            for opening in self.openings()
            if opening.list_digest == list_digest and opening.lock_digest != lock_digest
            for unit in opening.units
        }

    def sealed_opening(self, lock_digest: str) -> Opening | None:
        """Return the opening of the sealed units under this lock, if the seal is broken."""
        found = [o for o in self.openings() if o.lock_digest == lock_digest and o.split == "sealed"]
        return found[0] if found else None

    def record(self, **fields: Any) -> None:
        """Append an opening unless the same one stands there already (a resumed run).

        E509 when this lock has opened other units of the same list: one audit draws once.
        """
        units = tuple(sorted(fields.pop("units")))
        opening = Opening(units=units, time=datetime.now(UTC).isoformat(timespec="seconds"), **fields)
        earlier = [item for item in self.openings() if _place(item) == _place(opening)]
        if any(item.units != units for item in earlier):
            raise AuditError(
                "E509",
                f"this lock has opened {len(earlier[0].units)} {opening.side} subjects, now it would open others",
                "go on in the run directory that opened them, or lock a new audit",
            )
        if earlier:
            return
        self.path.parent.mkdir(exist_ok=True)
        line = json.dumps(opening.__dict__, sort_keys=True) + "\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(line)  # one write of one line, so that a kill leaves whole lines
            file.flush()
            os.fsync(file.fileno())


def _place(opening: Opening) -> tuple[str, ...]:
    """What of one audit an opening is about."""
    return (opening.lock_digest, opening.list_digest, opening.side, opening.split, opening.checkpoint)
