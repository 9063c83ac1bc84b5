"""Start the dashboard, or open every page once without a browser."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.dashboard import sample
from audit.dashboard.main import PAGES
from audit.dashboard.source import RUN_VARIABLE
from audit.evidence import bundle

testing = lazy("streamlit.testing.v1")

MAIN = Path(__file__).with_name("main.py")
PAGE_SECONDS = 60  # a first page imports Streamlit, pandas and Altair

# Read from here as well as from .streamlit/config.toml, which an installed wheel does not have.
_OPTIONS = {
    "server.address": "localhost",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
}


def serve(run: Path, *, port: int = 8501) -> int:
    """Serve ``run`` on localhost until interrupted; return the server's exit status."""
    options = [part for name, value in _OPTIONS.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-m", "streamlit", "run", str(MAIN), "--server.port", str(port), *options]
    try:
        return subprocess.run([*command, "--", str(run.resolve())], check=False).returncode
    except KeyboardInterrupt:  # the usual way to end a server
        return 0


def check() -> list[str]:
    """Open every page on an invented certificate, without a browser; return the titles of those that open.

    Raises AuditError E330 at the first page, or the navigation, that does not open.
    """
    before = os.environ.get(RUN_VARIABLE)
    # Streamlit warns of every page opened outside a browser, whatever level its loggers were given before.
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        bundle.write(Path(folder), sample.certificate())
        os.environ[RUN_VARIABLE] = folder
        try:
            _open("navigation", MAIN)
            return [_open(title, MAIN.with_name("views") / file) for file, title in PAGES.items()]
        finally:
            logging.disable(logging.NOTSET)
            _restore(before)


def _open(title: str, page: Path) -> str:
    if testing.AppTest.from_file(str(page), default_timeout=PAGE_SECONDS).run().exception:
        raise AuditError("E330", f"page {title!r} does not open", "reinstall the package, or report this")
    return title


def _restore(before: str | None) -> None:
    if before is None:
        del os.environ[RUN_VARIABLE]
    else:
        os.environ[RUN_VARIABLE] = before
