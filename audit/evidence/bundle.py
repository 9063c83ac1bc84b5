"""The bundle: what views read. One file, ``evidence.json``, holding the certificate."""

from __future__ import annotations

import json
import os
from pathlib import Path

from audit.core.errors import AuditError
from audit.evidence.certificate import Certificate

FILE = "evidence.json"


def write(run: Path, certificate: Certificate) -> Path:
    """Write RUN/evidence.json atomically and return its path."""
    target = run / FILE
    temporary = run / f".{FILE}.{os.getpid()}"
    temporary.write_text(
        json.dumps(certificate.to_json(), indent=1, sort_keys=True, allow_nan=False), encoding="utf-8"
    )
    os.replace(temporary, target)
    return target


def read(run: Path) -> Certificate:
    """Read RUN/evidence.json; E109 when there is none, E510 when it cannot be read."""
    path = run / FILE
    if not path.is_file():
        raise AuditError("E109", f"{run.name!r} holds no {FILE}", "run `unlearn-audit certify RUN` first")
    try:
        return Certificate.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise AuditError("E510", f"{FILE} is damaged", "certify again") from None
