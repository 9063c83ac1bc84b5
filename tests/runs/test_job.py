"""Jobs: killed at any point and done again, the result is the same; only what is marked DONE counts."""

import json
import subprocess
import sys

import pytest

from audit.runs.job import Job, Jobs, write_json

JOB = Job({"kind": "toy", "checkpoint": "ab" * 32, "n": 1}, "toy")
POINTS = (
    "in the middle of filling",
    "before the rename",
    "after the rename",
    "before the marker",
    "after the marker",
)

PROGRAM = """
import os, sys
from pathlib import Path
from audit.runs import job as jobs

run, point, spec = Path(sys.argv[1]), sys.argv[2], __import__("json").loads(sys.argv[3])
die = lambda *args, **kwargs: os._exit(9)

def work(folder):
    (folder / "rows").write_text("first half")
    if point == "in the middle of filling":
        die()
    (folder / "rows").write_text("first half, second half")
    return {"answer": 42}

rename, mark = os.rename, jobs.Jobs._mark
def rename_and_die(*args):
    rename(*args)
    die()
def mark_and_die(*args):
    mark(*args)
    die()
if point == "before the rename":
    os.rename = die
elif point == "after the rename":
    os.rename = rename_and_die
elif point == "before the marker":
    jobs.Jobs._mark = die
elif point == "after the marker":
    jobs.Jobs._mark = mark_and_die
jobs.Jobs(run).perform(jobs.Job(spec, "toy"), work)
"""


def perform(run, point="nowhere", job=JOB):
    """Do the job in a process of its own, which dies at ``point``; return its exit status."""
    command = [sys.executable, "-c", PROGRAM, str(run), point, json.dumps(job.spec)]
    return subprocess.run(command, check=False).returncode


def contents(run):
    return {str(p.relative_to(run)): p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run = tmp_path_factory.mktemp("uninterrupted")
    assert perform(run) == 0
    return contents(run)


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_and_done_again_the_result_is_the_same(tmp_path, uninterrupted, point):
    assert perform(tmp_path, point) == 9
    jobs = Jobs(tmp_path)
    assert jobs.is_done(JOB.key) == (point == "after the marker")
    if not jobs.is_done(JOB.key):
        jobs.clear_leftovers(lambda key: False)
        assert contents(tmp_path) == {}
        assert perform(tmp_path) == 0
    assert contents(tmp_path) == uninterrupted
    assert jobs.result(JOB.key) == {"answer": 42}


@pytest.mark.parametrize("point", POINTS)
def test_another_worker_may_take_over_without_clearing_up_first(tmp_path, uninterrupted, point):
    assert perform(tmp_path, point) == 9
    assert perform(tmp_path) == 0
    done = {name: data for name, data in contents(tmp_path).items() if not name.startswith("jobs/.")}
    assert done == uninterrupted


def test_what_a_live_worker_is_doing_is_not_cleared_away(tmp_path):
    for point in ("in the middle of filling", "before the marker"):
        assert perform(tmp_path, point, Job(JOB.spec | {"point": point}, "toy")) == 9
    before = contents(tmp_path)
    assert len(before) == 4
    jobs = Jobs(tmp_path)
    jobs.clear_leftovers(lambda key: True)
    assert contents(tmp_path) == before
    held = Job(JOB.spec | {"point": "before the marker"}, "toy").key
    jobs.clear_leftovers(lambda key: key == held)
    assert {name.split("/")[1] for name in contents(tmp_path)} == {held}


def test_done_jobs_survive_clearing_and_old_failures_do_not(tmp_path):
    jobs = Jobs(tmp_path)
    perform(tmp_path)
    other = Job({"kind": "other"}, "other")
    jobs.fail(other, {"code": "E310", "cause": "it diverged", "remedy": "less"})
    assert jobs.failure(other.key) == {
        "label": "other",
        "needs": [],
        "code": "E310",
        "cause": "it diverged",
        "remedy": "less",
    }
    jobs.clear_leftovers(lambda key: False)
    assert jobs.is_done(JOB.key)
    assert jobs.failure(other.key) is None


def test_success_takes_an_earlier_failure_away(tmp_path):
    jobs = Jobs(tmp_path)
    jobs.fail(JOB, {"code": "E302", "cause": "", "remedy": ""})
    perform(tmp_path)
    assert jobs.failure(JOB.key) is None


def test_the_key_follows_from_the_spec_alone():
    same = Job(dict(reversed(JOB.spec.items())), "another label", cost=7.0)
    assert same.key == JOB.key
    assert Job(JOB.spec | {"checkpoint": "ac" * 32}, "toy").key != JOB.key


def test_a_job_that_raises_leaves_nothing_that_looks_done(tmp_path):
    def work(folder):
        (folder / "half").write_text("x")
        raise RuntimeError

    jobs = Jobs(tmp_path)
    with pytest.raises(RuntimeError):
        jobs.perform(JOB, work)
    assert not jobs.is_done(JOB.key)
    assert not jobs.path(JOB.key).exists()
    jobs.perform(JOB, lambda folder: {"answer": 1})
    assert jobs.result(JOB.key) == {"answer": 1}


def test_json_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "new" / "x.json"
    write_json(path, {"a": 1})
    write_json(path, {"b": 2})
    assert json.loads(path.read_text()) == {"b": 2}
    with pytest.raises(TypeError):
        write_json(path, {"c": object()})
    assert json.loads(path.read_text()) == {"b": 2}
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]
