"""The whole flow on the tiny laboratory, as a user runs it; one audit is shared by all tests here."""

import json
import shutil

import pytest
from commands import TINY, command, interrupted, stage

from audit.evidence import bundle
from audit.measurements import store
from audit.runs.project import Ledger

pytestmark = pytest.mark.slow

VERDICTS = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "RUN-ERROR": 4, "INTEGRITY": 5}


def candidate(run, start):
    return next(c for c in bundle.read(run).configurations if c.configuration.startswith(start))


@pytest.fixture
def copy(tiny, tmp_path):
    """A copy of the whole project; what happens to its seal leaves the shared one alone."""
    return shutil.copytree(tiny[0].parent, tmp_path / "project") / "run"


# -- the run ---------------------------------


def test_a_run_ends_with_its_verdict_evidence_and_report(tiny):
    run, done = tiny
    certificate = bundle.read(run)
    assert done.returncode == VERDICTS[certificate.verdict], done.stderr[-2000:]
    assert str(certificate.verdict) in done.stdout
    assert str(run / "report.html") in done.stdout
    assert "<html" in (run / "report.html").read_text()
    assert certificate.family_size == 4
    assert [c.label for c in certificate.configurations][
        1
    ] == "simnpo(lr=0.001)"  # sixty steps are its default


def test_without_a_terminal_progress_is_json_lines_from_first_to_last_stage(tiny):
    lines = [json.loads(line) for line in tiny[1].stderr.splitlines()]
    finished = [line["stage"] for line in lines if line["state"] == "done"]
    assert finished == ["train references", "score references", "unlearn", "attack and score"]
    assert all(line["done"] == line["total"] for line in lines if line["state"] == "done")


def test_the_controls_behave_and_every_planned_cell_is_measured(tiny):
    certificate = bundle.read(tiny[0])
    assert [c.outcome for c in certificate.controls] == ["as expected", "as expected"]
    states = {c.state for result in certificate.configurations for c in result.clauses}
    assert states == {"measured"}
    assert (
        len(certificate.configurations[0].clauses) == 6 + 1
    )  # none, two grids, two doses, other words; utility


def test_a_candidate_that_only_hides_between_the_grid_points_fails_under_int4(tiny):
    """The release lies on the 4-bit grid; npo at 3e-4 moves little, so rounding takes its move back."""
    npo = candidate(tiny[0], "npo")
    totals = {c.attack.partition(",")[0]: c.total for c in npo.clauses if c.side == "forget"}
    assert npo.verdict == "FAIL"
    assert totals["quantize(int4"] > totals["none"]
    changed = {name: value for name, value in npo.diagnostics}
    assert all(0 <= value <= 1 for value in changed.values())


def test_a_candidate_that_only_refuses_in_its_last_layer_fails_under_relearning(tiny):
    """Planted: it yields nothing when asked; a few steps on other persons bring everybody's secrets back."""
    shallow = candidate(tiny[0], "idk_sft")
    unattacked, relearned = (
        next(
            c for c in shallow.clauses if c.side == "forget" and c.attack.startswith(name) and c.dose == dose
        )
        for name, dose in (("none", 0.0), ("relearn", 10.0))
    )
    assert shallow.verdict == "FAIL"
    assert not unattacked.fails
    assert relearned.fails
    retrained = next(r for r in bundle.read(tiny[0]).references if r.role == "retrained")
    assert max(c.total for c in retrained.clauses if c.attack.startswith("relearn")) == 0


def test_certifying_again_gives_the_same_bytes(tiny):
    run, done = tiny
    before = (run / "evidence.json").read_bytes()
    assert command("certify", run).returncode == done.returncode
    assert (run / "evidence.json").read_bytes() == before


def test_gate_speaks_for_the_digest_and_for_the_directory_that_ships(tiny):
    run, _ = tiny
    for result in bundle.read(run).configurations:
        record = json.loads((run / "checkpoints" / f"{result.checkpoint}.json").read_text())
        for name in (result.checkpoint, result.checkpoint[:8], run / record["folder"]):
            done = command("gate", run, "--checkpoint", name, "--json")
            assert done.returncode == VERDICTS[result.verdict], done.stderr
            assert json.loads(done.stdout)["checkpoint"] == result.checkpoint
    assert command("gate", run).returncode == 2


def test_status_says_it_is_certified(tiny):
    record = json.loads(command("status", tiny[0], "--json").stdout)
    assert (record["state"], record["failed"]) == ("certified", [])
    assert record["jobs_done"] == 2 + 2 + 4 + 5 * 6 - 2  # references under none are scored once


def test_the_forget_list_is_in_no_file_of_the_run_but_weights_and_tokenizers(tiny):
    from audit.evidence.leaks import forbidden, scan
    from audit.runs.finish import forget_list, outputs

    run, done = tiny
    (run.parent / "told.txt").write_text(done.stdout + done.stderr)
    found = scan([*outputs(run), run.parent / "told.txt"], forbidden(forget_list(run)))
    assert found == []


def test_running_again_changes_nothing(copy, tiny):
    ledger = (copy.parent / ".unlearn-audit" / "ledger.jsonl").read_bytes()
    evidence = (copy / "evidence.json").read_bytes()
    done = command("run", copy, "--device", "cpu", "--quiet")
    assert done.returncode == tiny[1].returncode
    assert (copy / "evidence.json").read_bytes() == evidence
    assert (copy.parent / ".unlearn-audit" / "ledger.jsonl").read_bytes() == ledger


# -- the seal ---------------------------------


def test_the_seal_is_broken_once_and_kills_do_not_change_what_it_shows(copy, tmp_path):
    """Killed in the middle of opening, and opened again: the same rows as without the kill."""
    whole = shutil.copytree(copy.parent, tmp_path / "whole") / "run"
    chosen, other = candidate(copy, "simnpo").checkpoint, candidate(copy, "npo").checkpoint
    arguments = ("--checkpoint", chosen[:12], "--device", "cpu", "--quiet")

    assert command("confirm", whole, *arguments).returncode in (0, 1, 3)
    interrupted(
        "confirm",
        copy,
        *arguments,
        when=lambda: stage(copy)[0] == "open the sealed subjects" and stage(copy)[1] >= 1,
    )
    assert [o.checkpoint for o in Ledger(copy.parent).openings() if o.split == "sealed"] == [chosen] * 2
    assert command("confirm", copy, *arguments).returncode in (0, 1, 3)
    assert store.same(store.read(copy / "measurements"), store.read(whole / "measurements"))
    assert (copy / "evidence.json").read_bytes() == (whole / "evidence.json").read_bytes()

    found = candidate(copy, "simnpo").confirmation
    assert (found.population, found.sealed_units, found.exact) == (40, 10, True)
    assert found.upper == found.failures / 40
    again = command("confirm", copy, *arguments)
    assert again.returncode in (0, 1, 3)
    assert (copy / "evidence.json").read_bytes() == (whole / "evidence.json").read_bytes()

    refused = command("confirm", copy, "--checkpoint", other, "--device", "cpu")
    assert refused.returncode == 5
    assert "E507" in refused.stderr
    assert len([o for o in Ledger(copy.parent).openings() if o.split == "sealed"]) == 2


# -- killed ---------------------------------


def test_killed_at_several_points_and_run_again_it_measures_the_same(tiny, tmp_path):
    """All processes while two references are trained; the coordinator alone; all while attacks are scored."""
    (tmp_path / "audit.yaml").write_text(TINY)
    run = tmp_path / "run"
    arguments = ("run", tmp_path / "audit.yaml", "-o", run, "--device", "cpu", "--quiet")
    interrupted(*arguments, when=lambda: stage(run)[0] == "train references" and stage(run)[2] == 2)
    interrupted(*arguments, when=lambda: stage(run)[0] == "unlearn" and stage(run)[2] >= 1, everyone=False)
    interrupted(*arguments, when=lambda: stage(run)[0] == "attack and score" and stage(run)[1] >= 7)
    assert not (run / "measurements" / "header.json").exists()
    done = command(*arguments)
    assert done.returncode == tiny[1].returncode, done.stderr[-2000:]
    assert store.same(store.read(run / "measurements"), store.read(tiny[0] / "measurements"))
    mine, whole = (json.loads((r / "evidence.json").read_text()) for r in (run, tiny[0]))
    assert mine | {"locked_at": ""} == whole | {"locked_at": ""}
    assert len(Ledger(tmp_path).openings()) == 2
