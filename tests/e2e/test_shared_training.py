"""Checkpoints of one training, a path of strengths tested in order, and futility, as a user runs them."""

import json

import pytest
from commands import command, interrupted, stage

from audit.evidence import bundle
from audit.measurements import store

pytestmark = pytest.mark.slow

TRAJECTORY = """
laboratory: {subject: tiny, release: full, facts: 1, secrets: 2}
candidates:
  - {sweep: simnpo(lr=0.001), steps: [2, 60], trajectory: true}
attacks: [none, quantize(int4)]
futility: subjects
keep: all
"""
PATH = """
laboratory: {subject: tiny, release: full, facts: 1, secrets: 2}
candidates:
  - {sweep: simnpo(lr=0.001), path: [0.25, 0.5, 1]}
attacks: [none, quantize(int4)]
family: fixed_sequence
sizes:
  forget: {tune: 8, calibrate: 26, sealed: 6}
  retain: {tune: 8, calibrate: 26, sealed: 6}
"""


def audited(folder, plan):
    (folder / "audit.yaml").write_text(plan)
    done = command("run", folder / "audit.yaml", "--out", folder / "run", "--device", "cpu")
    assert done.returncode in (0, 1, 3), done.stderr[-2000:]
    return folder / "run", done


def trainings(run):
    specs = [json.loads(path.read_text()) for path in (run / "jobs").glob("*/spec.json")]
    return [spec for spec in specs if spec["kind"] == "unlearn"]


def test_a_trajectory_that_was_killed_between_its_attacks_goes_on_and_stops_who_has_failed(tmp_path):
    """After two steps everybody is remembered; that checkpoint is attacked no further, the last one is."""
    (tmp_path / "audit.yaml").write_text(TRAJECTORY)
    line = ("run", tmp_path / "audit.yaml", "--out", tmp_path / "run", "--device", "cpu")
    interrupted(*line, when=lambda: stage(tmp_path / "run")[0].startswith("score under"))
    done_before = {path.parent.name for path in (tmp_path / "run" / "jobs").glob("*/DONE")}
    run, done = audited(tmp_path, TRAJECTORY)
    assert done_before <= {path.parent.name for path in (run / "jobs").glob("*/DONE")}
    (training,) = trainings(run)
    assert training["checkpoints"] == [2, 60]
    early, late = bundle.read(run).configurations
    assert early.label == "simnpo(lr=0.001) at 2"
    assert str(early.verdict) == "FAIL"
    assert "stopped for futility after 15 subjects: 1 more attack" in early.reasons[-1]
    assert {c.state for c in late.clauses} == {"measured"}
    assert "stopped early" in done.stdout
    assert "stopped early" in (run / "report.html").read_text()
    rows = store.read(run / "measurements").rows
    met = rows.groupby("configuration", observed=True)["attack"].nunique().to_dict()
    assert (met[early.configuration], met[late.configuration]) == (1, 2)
    refused = command("confirm", run, "--checkpoint", early.checkpoint, "--device", "cpu")
    assert (refused.returncode, "E470" in refused.stderr) == (2, True), refused.stderr


def test_a_path_of_strengths_trains_once_and_is_tested_in_the_order_of_its_tune_subjects(tmp_path):
    run, _ = audited(tmp_path, PATH)
    assert len(trainings(run)) == 1
    certificate = bundle.read(run)
    assert (certificate.family, certificate.order_source) == ("fixed_sequence", "tune")
    assert certificate.family_size == 3
    assert sorted(certificate.order) == sorted(c.configuration for c in certificate.configurations)
    listed = {c.configuration for c in certificate.valid_set}
    assert set(certificate.order[: len(listed)]) == listed  # a fixed sequence ends at the first that fails
    assert len({c.checkpoint for c in certificate.configurations}) == 3
    assert "strength=1" in certificate.order[0]  # a quarter of the way forgets next to nobody
