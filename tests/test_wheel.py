"""An installed wheel needs no file of the repository: pages, template and laboratory come with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the package as pip installs it from a wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("verb", [("demo", "--help"), ("methods",), ("dashboard", "--check")])
def test_the_command_works_outside_the_repository(site, verb):
    where = run(site, "-c", "import audit; print(audit.__file__)")
    assert where.stdout.startswith(str(site))
    done = run(site, "-m", "audit.cli", *verb)
    assert done.returncode == 0, done.stderr
    assert done.stdout
