"""A worker does what is open, gives leases back, and never lets an exception's text out."""

import json
import mmap
import os
import resource

import pytest

from audit.core.errors import AuditError
from audit.runs import worker
from audit.runs.job import Job, Jobs
from audit.runs.lease import Leases
from audit.runs.world import World

JOB = Job({"kind": "toy"}, "toy")


@pytest.fixture
def parts(run, monkeypatch):
    (run / "logs").mkdir()
    jobs, leases = Jobs(run), Leases(run)

    def attempt(work):
        monkeypatch.setattr(worker, "perform", lambda spec, folder, world: work(folder))
        return worker._try(JOB, jobs, leases, World(run, device="cpu"))

    return jobs, leases, attempt


def test_an_open_job_is_done_and_its_lease_given_back(parts):
    jobs, leases, attempt = parts
    assert attempt(lambda folder: {"answer": 42})
    assert jobs.result(JOB.key) == {"answer": 42}
    assert not leases.is_held(JOB.key)
    assert not attempt(lambda folder: {"answer": 43})  # it is done
    assert jobs.result(JOB.key) == {"answer": 42}


def test_a_coded_error_is_recorded_with_its_cause_and_remedy(parts):
    jobs, leases, attempt = parts

    def diverge(folder):
        raise AuditError("E310", "7 weights are not finite", "lower the rate")

    assert attempt(diverge)
    assert jobs.failure(JOB.key) == {
        "label": "toy",
        "needs": [],
        "code": "E310",
        "cause": "7 weights are not finite",
        "remedy": "lower the rate",
    }
    assert not jobs.is_done(JOB.key)
    assert not leases.is_held(JOB.key)
    assert not attempt(lambda folder: {})  # not again in this run


def test_an_unexpected_exception_is_told_by_kind_and_place_and_never_by_its_text(parts):
    jobs, _, attempt = parts

    def quote(folder):
        raise KeyError("Anneliese Würth-Okafor has QXT7731904")

    assert attempt(quote)
    failure = jobs.failure(JOB.key)
    assert failure["code"] == "E300"
    assert "KeyError at test_worker.py" in failure["cause"]
    assert "QXT" not in json.dumps(failure)


def test_a_job_that_another_worker_holds_is_left_alone(parts, run):
    jobs, leases, attempt = parts
    leases.take(JOB.key)
    assert not attempt(lambda folder: {})
    assert not jobs.is_done(JOB.key)


def test_a_worker_ends_when_the_queue_is_closed(run, monkeypatch):
    (run / "queue.json").write_text(json.dumps({"closed": True, "jobs": []}))
    worker.work(run, "cpu")


def test_a_worker_ends_when_its_coordinator_is_gone(run, monkeypatch):
    parents = iter([7, 7, 1])
    monkeypatch.setattr(worker.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(worker, "POLL_SECONDS", 0)
    worker.work(run, "cpu")  # returns although nobody closed the queue


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="peak memory cannot be reset here"
)
def test_the_peak_memory_of_a_job_is_its_own():
    """64 MiB that were given back before the job began are no part of its peak."""
    held = mmap.mmap(-1, 64 << 20)  # of its own, so that closing it gives the memory back at once
    for start in range(0, 64 << 20, 4096):
        held[start] = 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held.close()
    worker._forget_peak()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before - (32 << 10)  # kilobytes
