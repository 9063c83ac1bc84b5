"""A look at a run from its files alone."""

import json

import pytest

from audit.core.errors import AuditError
from audit.runs.job import Job, Jobs, write_json
from audit.runs.lease import COORDINATOR, Leases
from audit.runs.status import look

JOBS = [Job({"n": n}, f"job {n}") for n in range(4)]


def publish(run, closed):
    jobs = [{"spec": j.spec, "label": j.label, "cost": j.cost} for j in JOBS]
    write_json(run / "queue.json", {"closed": closed, "stage": "attack and score", "jobs": jobs})


def test_a_locked_run_has_done_nothing(run):
    found = look(run)
    assert (found.state, found.candidates, found.total, found.jobs_done) == ("locked", 2, 0, 0)
    assert found.audit_id in found.lines()[0]


def test_a_running_one_says_what_is_done_under_way_and_failed(run):
    publish(run, closed=False)
    Jobs(run).perform(JOBS[0], lambda folder: {})
    Jobs(run).fail(JOBS[1], {"code": "E310", "cause": "it diverged", "remedy": "less"})
    for key in (JOBS[0].key, JOBS[2].key, COORDINATOR):
        Leases(run).take(key)
    found = look(run)
    assert found.state == "running"
    assert (found.stage, found.total, found.done) == ("attack and score", 4, 1)
    assert found.running == ("job 2",)  # job 0 is done, whoever still holds its lease
    assert found.failed == ("job 1: E310 it diverged → less",)
    text = "\n".join(found.lines())
    assert "1 of 4 done" in text
    assert "running  job 2" in text
    assert json.loads(json.dumps(found.to_json()))["done"] == 1


def test_a_checkpoint_that_failed_inside_a_training_that_went_on_is_listed_with_its_step(run):
    job = Job({"kind": "unlearn", "recipe": "npo(steps=9)"}, "unlearn npo(steps=9)")
    bad = {"code": "E310", "cause": "it diverged", "remedy": "less"}
    Jobs(run).perform(job, lambda folder: {"checkpoints": {"3": {"checkpoint": "ab"}, "9": bad}})
    assert look(run).failed == ("npo(steps=9) at 9: E310 it diverged → less",)


def test_one_whose_coordinator_is_gone_is_interrupted_and_says_how_to_go_on(run):
    publish(run, closed=False)
    assert look(run).state == "interrupted: the same `run` command continues"


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ((), "interrupted"),
        (("measurements/header.json",), "measured"),
        (("measurements/header.json", "evidence.json"), "certified"),
    ],
)
def test_a_closed_one_is_as_far_as_its_files(run, files, state):
    publish(run, closed=True)
    for name in files:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("{}")
    assert look(run).state == state


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(AuditError) as caught:
        look(tmp_path)
    assert caught.value.code == "E105"
