"""Somebody's own model, data and already unlearned checkpoint, through init, plan, lock, run and status."""

import json
import shutil

import pytest
import yaml
from commands import command

from audit.data.writers import write_corpus
from audit.evidence import bundle
from audit.plan.schema import load_plan
from audit.runs.world import World

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own(tiny, tmp_path_factory):
    """The tiny laboratory's persons and weights, handed over as files."""
    run, _ = tiny
    project = tmp_path_factory.mktemp("own")
    world, certificate = World(run), bundle.read(run)
    write_corpus(world.raw_corpus, project)
    for reference in certificate.references:
        shutil.copytree(world.locate(reference.checkpoint), project / reference.role)
    given = next(c for c in certificate.configurations if c.configuration.startswith("simnpo"))
    shutil.copytree(world.locate(given.checkpoint), project / "given")
    assert command("init", project / "audit.yaml").returncode == 0
    plan = yaml.safe_load((project / "audit.yaml").read_text())
    plan |= {
        "model": "original",
        "retrained": "retrained",
        "candidates": [{"given": "given"}, "npo(lr=0.0003, steps=10)"],
        "attacks": ["none", "quantize(int4)"],
        "sizes": {
            "forget": {"tune": 0, "calibrate": 30, "sealed": 10},
            "retain": {"tune": 0, "calibrate": 30, "sealed": 10},
        },
    }
    (project / "audit.yaml").write_text(yaml.safe_dump(plan))
    return project, given


def test_the_flow_ends_with_the_verdict_of_the_given_weights(own):
    project, given = own
    plan = project / "audit.yaml"
    assert load_plan(plan).model == project / "original"
    planned = json.loads(command("plan", plan, "--json").stdout)
    assert planned["candidates"] == 2
    assert planned["prospects"][0]["design"]["population"] == 40
    locked = json.loads(command("lock", plan, "--json").stdout)
    done = command("run", plan, "--device", "cpu", "--quiet")
    run = project / "runs" / f"audit-{locked['audit_id']}"
    certificate = bundle.read(run)
    assert done.returncode == certificate.verdict.exit_code, done.stderr[-2000:]
    assert certificate.missing_controls == ()
    assert certificate.configurations[0].checkpoint == given.checkpoint  # the same weights, the same digest
    assert certificate.configurations[0].configuration == f"given({given.checkpoint})"
    assert certificate.configurations[1].verdict == "FAIL"  # ten steps forget nothing
    status = json.loads(command("status", run, "--json").stdout)
    assert (status["state"], status["candidates"]) == ("certified", 2)


def test_weights_the_user_brought_are_never_removed(own):
    project, _ = own
    assert (project / "given" / "model.safetensors").exists()
    assert (project / "original" / "model.safetensors").exists()


def test_the_persons_are_pseudonyms_under_the_projects_own_key(own, tiny):
    project, _ = own
    run = next((project / "runs").iterdir())
    assert (project / ".unlearn-audit" / "key").stat().st_mode & 0o777 == 0o600
    names = {s.subject for s in World(run).raw_corpus.forget}
    keyed = {s.subject for s in World(run).corpus.forget}
    laboratory = {s.subject for s in World(tiny[0]).corpus.forget}
    assert not names & keyed
    assert not keyed & laboratory  # another key, though the same persons


def test_another_plan_on_the_same_persons_may_not_open_them_again(own):
    """Thirty of forty were opened: ten are left, too few for another thirty."""
    project, _ = own
    plan = yaml.safe_load((project / "audit.yaml").read_text())
    (project / "second.yaml").write_text(
        yaml.safe_dump(plan | {"candidates": [{"given": "given"}], "attacks": ["none"]})
    )
    done = command("run", project / "second.yaml", "--device", "cpu", "--quiet")
    assert done.returncode == 5
    assert "E506" in done.stderr
    assert "10 forget subjects are left" in done.stderr


def test_changed_data_are_not_audited_under_the_old_lock(own):
    project, _ = own
    lines = (project / "forget.jsonl").read_text().splitlines(keepends=True)
    run = next(r for r in (project / "runs").iterdir() if r.name.startswith("audit-"))
    try:
        (project / "forget.jsonl").write_text("".join(lines[:-3]))
        done = command("run", run, "--device", "cpu", "--quiet")
    finally:
        (project / "forget.jsonl").write_text("".join(lines))
    assert done.returncode == 5
    assert "E504" in done.stderr
