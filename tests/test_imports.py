"""What an import costs and which way it goes: no heavy library at import time, no import up a floor."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hand_made import NONE, Audit, imported

from audit.measurements import store

ROOT = Path(__file__).resolve().parents[1]
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "scipy",
    "pandas",
    "matplotlib",
    "pyarrow",
    "sklearn",
    "streamlit",
    "statsmodels",
    "bitsandbytes",
)


def modules() -> list[str]:
    """Return every module below audit/, those in folders without an ``__init__`` too."""
    files = sorted((ROOT / "audit").rglob("*.py"))
    names = [".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files]
    return [name.removesuffix(".__init__") for name in names]


def loaded_after(statements: str) -> list[str]:
    """Return the heavy libraries in a fresh interpreter's memory after ``statements``."""
    code = (
        "import contextlib, io, json, sys\n"
        f"with contextlib.redirect_stdout(io.StringIO()):\n{_indented(statements)}\n"
        f"print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}} & set({HEAVY!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def test_importing_every_module_imports_no_heavy_library():
    """Streamlit's pages are functions behind a lazy proxy, so they are no exception."""
    assert len(modules()) > 100
    assert (
        loaded_after(
            "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in modules())
        )
        == []
    )


def test_this_test_would_notice_a_heavy_library():
    assert loaded_after("import scipy.stats") == ["scipy"]


@pytest.mark.parametrize(
    "command", [["--help"], ["run", "--help"], ["demo", "--help"], ["attacks"], ["methods"], ["metrics"]]
)
def test_help_and_catalogues_import_no_heavy_library(command):
    assert loaded_after(_called(command)) == []


def test_locking_needs_distributions_alone_and_looking_nothing_heavy(tmp_path):
    """SciPy says whether so many subjects can conclude; no model library is loaded for that."""
    plan = tmp_path / "audit.yaml"
    plan.write_text("laboratory: {subject: tiny}\ncandidates: [npo]\n")
    run = tmp_path / "run"
    assert loaded_after(_called(["lock", str(plan), "-o", str(run)])) == ["scipy"]
    assert loaded_after(_called(["status", str(run)])) == []


def test_statistics_need_no_torch(tmp_path):
    """Certifying imported logs, the way of those who bring only numbers."""
    store.write(tmp_path / "measurements", imported(Audit(cells=(NONE,))).measurements())
    for command in (["certify", str(tmp_path)], ["report", str(tmp_path)]):
        assert not {"torch", "transformers", "peft"} & set(loaded_after(_called(command)))


def _called(command: list[str]) -> str:
    """Return statements that run a command; any exit but PASS and INCONCLUSIVE is an error."""
    return "\n".join(
        [
            "from audit.cli import app",
            "try:",
            f"    app({command!r})",
            "except SystemExit as end:",
            "    assert end.code in (0, 3, None), end",
        ]
    )


def test_an_import_goes_down_a_floor_and_never_up():
    """The layers in pyproject.toml, checked by import-linter."""
    script = Path(sys.executable).with_name("lint-imports")
    if not script.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
