"""The one audit that the end-to-end tests share, and the made-up logs of the importers' tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "measurements"))  # log_samples

from commands import TINY, command


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A finished audit of the tiny laboratory: (run directory, finished process)."""
    project = tmp_path_factory.mktemp("tiny")
    (project / "audit.yaml").write_text(TINY)
    done = command("run", project / "audit.yaml", "-o", project / "run", "--device", "cpu")
    return project / "run", done
