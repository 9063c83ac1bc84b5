"""Where a page gets its certificate: the run named after ``--``, or by an environment variable."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import NoReturn

from audit.core.digest import digest_file
from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.evidence import bundle
from audit.evidence.certificate import Certificate

st = lazy("streamlit")

RUN_VARIABLE = "UNLEARN_AUDIT_RUN"
MOST_CERTIFICATES = 4  # kept in memory


def run_directory() -> Path | None:
    """Return the run to show: the variable wins, since a test or a container sets it on purpose."""
    named = os.environ.get(RUN_VARIABLE) or (sys.argv[1] if len(sys.argv) > 1 else "")
    return Path(named) if named else None


def certificate() -> Certificate:
    """Return the run's certificate; without one, say what is missing and end the page."""
    run = run_directory()
    if run is None:
        _end("No run directory was named.", "Start it with one: `unlearn-audit dashboard RUN`")
    path = run / bundle.FILE
    try:
        return _read(run, digest_file(path) if path.is_file() else "")
    except AuditError as error:
        _end(f"{error.code}: {error.cause}.", f"What to do: {error.remedy}.")


@functools.lru_cache(maxsize=MOST_CERTIFICATES)
def _read(run: Path, content: str) -> Certificate:
    """Read the bundle; ``content`` is its digest, so that certifying again is seen at the next look."""
    return bundle.read(run)


def _end(problem: str, remedy: str) -> NoReturn:
    st.title("Nothing to show")
    st.warning(problem)
    st.markdown(remedy)
    st.stop()
    raise AssertionError("st.stop ends the page")
