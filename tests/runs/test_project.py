"""The project's key and its ledger of opened units."""

import json
import os
import stat
import subprocess
import sys

import pytest

from audit.core.errors import AuditError
from audit.runs.project import Ledger, pseudonym_key

MAKE = """
import sys
from pathlib import Path
from audit.runs.project import pseudonym_key
print(pseudonym_key(Path(sys.argv[1]), None).hex())
"""


def opening(**changes):
    return {
        "list_digest": "list",
        "side": "forget",
        "lock_digest": "lock",
        "split": "calibrate",
        "checkpoint": "",
        "family_digest": "family",
        "units": ["b", "a"],
    } | changes


# -- the key ---------------------------------


def test_the_key_is_made_once_for_nobody_elses_eyes(tmp_path):
    key = pseudonym_key(tmp_path, None)
    path = tmp_path / ".unlearn-audit" / "key"
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pseudonym_key(tmp_path, None) == key
    assert [p.name for p in path.parent.iterdir()] == ["key"]


def test_two_projects_have_two_keys(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    assert pseudonym_key(tmp_path / "a", None) != pseudonym_key(tmp_path / "b", None)


def test_processes_that_start_together_agree_on_the_key(tmp_path):
    started = [
        subprocess.Popen([sys.executable, "-c", MAKE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    keys = {process.communicate()[0].strip() for process in started}
    assert keys == {pseudonym_key(tmp_path, None).hex()}


def test_a_process_killed_while_it_makes_the_key_leaves_none_behind(tmp_path):
    """Half a key would be a key that others know: an empty one."""
    die = "import os; os.link = lambda *a: os._exit(9)\n" + MAKE
    assert subprocess.run([sys.executable, "-c", die, str(tmp_path)], check=False).returncode == 9
    assert not (tmp_path / ".unlearn-audit" / "key").exists()
    assert len(pseudonym_key(tmp_path, None)) == 32


def test_a_laboratorys_key_follows_from_its_seed_and_is_not_stored(tmp_path):
    assert pseudonym_key(tmp_path, 7) == pseudonym_key(tmp_path, 7) != pseudonym_key(tmp_path, 8)
    assert len(pseudonym_key(tmp_path, 7)) == 32
    assert list(tmp_path.iterdir()) == []


# -- the ledger ---------------------------------


def test_an_opening_is_recorded_once_however_often_the_run_resumes(tmp_path):
    ledger = Ledger(tmp_path)
    for _ in range(3):
        ledger.record(**opening())
    ledger.record(**opening(side="retain", list_digest="other"))
    assert [(o.side, o.units) for o in ledger.openings()] == [("forget", ("a", "b")), ("retain", ("a", "b"))]
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
    assert len(ledger.path.read_text().splitlines()) == 2


def test_the_same_lock_sees_nothing_opened_and_another_one_sees_everything(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.record(**opening())
    ledger.record(**opening(split="sealed", checkpoint="c", units=["z"]))
    assert ledger.opened_before("list", "lock") == set()
    assert ledger.opened_before("list", "another lock") == {"a", "b", "z"}
    assert ledger.opened_before("another list", "another lock") == set()


def test_one_lock_does_not_open_other_units_a_second_time(tmp_path):
    """Drawing again until the draw is kind would be choosing the units."""
    ledger = Ledger(tmp_path)
    ledger.record(**opening())
    before = ledger.path.read_bytes()
    with pytest.raises(AuditError) as caught:
        ledger.record(**opening(units=["a", "c"], family_digest="of other checkpoints"))
    assert (caught.value.code, caught.value.exit_code) == ("E509", 5)
    assert ledger.path.read_bytes() == before
    ledger.record(
        **opening(units=["a", "b"], family_digest="of other checkpoints")
    )  # the same draw: the same audit
    assert ledger.path.read_bytes() == before


def test_the_opening_of_the_seal_is_found_by_its_lock(tmp_path):
    ledger = Ledger(tmp_path)
    assert ledger.sealed_opening("lock") is None
    ledger.record(**opening())
    assert ledger.sealed_opening("lock") is None
    ledger.record(**opening(split="sealed", checkpoint="c0ffee"))
    assert ledger.sealed_opening("lock").checkpoint == "c0ffee"
    assert ledger.sealed_opening("another lock") is None


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "7", '{"units": []}', '{"list_digest": "x", "unknown": 1, "units": []}', '{"units": 3}'],
)
def test_a_damaged_line_is_an_integrity_error(tmp_path, line):
    ledger = Ledger(tmp_path)
    ledger.record(**opening())
    with ledger.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(AuditError) as caught:
        ledger.openings()
    assert (caught.value.code, caught.value.exit_code) == ("E503", 5)


def test_a_project_without_a_ledger_has_opened_nothing(tmp_path):
    ledger = Ledger(tmp_path)
    assert ledger.openings() == []
    assert not ledger.path.exists()


def test_the_ledger_holds_pseudonyms_digests_and_times_and_lies_outside_of_runs(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.record(**opening())
    record = json.loads(ledger.path.read_text())
    assert set(record) == {*opening(), "time"}
    assert ledger.path.parent.name == ".unlearn-audit"
    assert os.path.commonpath([ledger.path, tmp_path / "runs"]) == str(tmp_path)
