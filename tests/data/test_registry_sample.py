"""The published sample: the generator's bytes, the manifest's digests, and no reader at run time."""

import json
from pathlib import Path

import pytest

from audit.core.digest import digest_file
from audit.data.registry_lab import corpus_digest, generate
from audit.data.writers import write_corpus

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "calibration_data"
MANIFEST = json.loads((FOLDER / "MANIFEST.json").read_text(encoding="utf-8"))
SAMPLE = {"forget": 20, "retain": 20, "twins": 20}


@pytest.mark.parametrize("schema", ["own", "lume", "tofu"])
def test_generating_again_gives_the_same_bytes(tmp_path, schema):
    """Fails when a new Faker or NumPy draws otherwise: every laboratory has then changed."""
    for path in write_corpus(generate(2025, **SAMPLE), tmp_path, schema):
        assert path.read_bytes() == (FOLDER / "registry" / schema / path.name).read_bytes()


def test_the_data_sheet_states_the_digest_of_the_sample():
    assert corpus_digest(generate(2025, **SAMPLE)) in (FOLDER / "DATASHEET.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["file"])
def test_the_manifest_holds(entry):
    path = FOLDER / entry["file"]
    assert entry["licence"]
    assert entry["source"]
    assert (path.stat().st_size, digest_file(path)) == (entry["bytes"], entry["sha256"])


def test_every_file_of_the_sample_is_in_the_manifest():
    found = {
        path.relative_to(FOLDER).as_posix() for path in (FOLDER / "registry").rglob("*") if path.is_file()
    }
    assert found == {entry["file"] for entry in MANIFEST if entry["file"].startswith("registry/")}


def test_no_module_reads_the_calibration_data():
    modules = [*(ROOT / "audit").rglob("*.py"), *ROOT.glob("app.py")]
    assert not [path.name for path in modules if "calibration_data" in path.read_text(encoding="utf-8")]
