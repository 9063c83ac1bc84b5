"""Shared by all tests: passive OpenMP before torch, versions in the header, no state from outside."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # the processes share the cores; threads of each would only wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest

# The machine may be busy: how long one example takes is no property of the code. The same examples every time, so that a
# change is judged by itself; `pytest --hypothesis-profile search` looks for new ones.
hypothesis.settings.register_profile("audit", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile("audit")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_report_header() -> str:
    names = ("numpy", "scipy", "torch", "transformers", "pandas", "streamlit")
    return "versions: " + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real evaluation logs and data sets, where they are present."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data sets (../shared/data) are not here")
    return SHARED_DATA
