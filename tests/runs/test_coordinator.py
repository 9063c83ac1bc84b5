"""The coordinator alone: who may run a directory, what a redrawn split would be, what dead workers cost."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field

import pytest
from locked import lock_in

from audit.core.errors import AuditError
from audit.runs import coordinator as coordinators
from audit.runs import split
from audit.runs.collect import Configured
from audit.runs.coordinator import COORDINATOR, MAX_DEATHS, MAX_DEATHS_IN_VAIN, Coordinator
from audit.runs.eligibility import Eligibility
from audit.runs.job import Job
from audit.runs.lease import Leases

HOLD = """
import sys
from pathlib import Path
from audit.runs.lease import Leases
print(Leases(Path(sys.argv[1])).take(sys.argv[2]), flush=True)
sys.stdin.read()
"""


@dataclass
class Workers:
    """Stands in for worker processes: does ``each`` on every look and tells how many died."""

    run: object = None
    count: int = 0
    device: str = ""
    script: list = field(default_factory=list)  # one callable per look; returns deaths
    ended: str = ""

    def start_workers(self):
        pass

    def poll(self):
        return self.script.pop(0)() if self.script else 0

    def stop(self):
        self.ended = "stopped"

    def kill(self):
        self.ended = "killed"


@pytest.fixture
def scripted(monkeypatch):
    """Return a function that sets what the workers will do."""
    workers = Workers()
    monkeypatch.setattr(coordinators, "LocalBackend", lambda *args: workers)
    monkeypatch.setattr(coordinators.time, "sleep", lambda seconds: None)

    def script(*steps):
        workers.script = list(steps)
        return workers

    return script


@pytest.fixture
def elsewhere(run):
    """A process that holds the run directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run), COORDINATOR],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "True\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def coordinator(run):
    return Coordinator(run, device="cpu", workers=1)


def job(name):
    return Job({"kind": "toy", "n": name}, name)


def done(jobs, item):
    def step():
        jobs.perform(item, lambda folder: {})
        return 0

    return step


# -- one at a time ---------------------------------


def test_a_run_directory_has_one_coordinator_at_a_time(run, elsewhere, scripted):
    with pytest.raises(AuditError) as caught:
        coordinator(run).perform("stage", [job("a")])
    assert (caught.value.code, caught.value.exit_code) == ("E303", 4)
    assert not (run / "queue.json").exists()


def test_after_a_killed_coordinator_the_next_one_goes_on(run, elsewhere, scripted):
    elsewhere.kill()
    elsewhere.wait()
    mine = coordinator(run)
    workers = scripted(done(mine.jobs, job("a")))
    mine.perform("stage", [job("a")])
    assert workers.ended == "stopped"
    assert json.loads((run / "queue.json").read_text()) == {"closed": True, "stage": "", "jobs": []}
    assert not Leases(run).is_held(COORDINATOR)


def test_after_an_error_the_directory_is_free_and_the_workers_are_gone(run, scripted):
    def broken():
        raise KeyboardInterrupt

    workers = scripted(broken)
    with pytest.raises(KeyboardInterrupt):
        coordinator(run).perform("stage", [job("a")])
    assert workers.ended == "killed"
    assert json.loads((run / "queue.json").read_text())["closed"]
    assert Leases(run).take(COORDINATOR)


# -- dead workers ---------------------------------


def put_dead_lease(run, item):
    record = {"host": __import__("socket").gethostname(), "pid": 2**22 + 1, "started": "1"}
    (Leases(run).folder / item.key).write_text(json.dumps(record))


def test_a_job_that_kills_its_worker_again_and_again_fails_and_the_others_go_on(run, scripted):
    mine, bad, good = coordinator(run), job("bad"), job("good")

    def die():
        put_dead_lease(run, bad)
        return 1

    scripted(*[die] * MAX_DEATHS, done(mine.jobs, good))
    mine.perform("stage", [bad, good])
    assert mine.jobs.failure(bad.key)["code"] == "E302"
    assert mine.jobs.is_done(good.key)


def test_a_live_workers_job_does_not_pay_for_the_deaths_of_others(run, scripted):
    mine, bad, slow = coordinator(run), job("bad"), job("slow")
    assert Leases(run).take(slow.key)  # held by this very process

    def die():
        put_dead_lease(run, bad)
        return 1

    scripted(*[die] * (MAX_DEATHS + 2), done(mine.jobs, slow))
    mine.perform("stage", [bad, slow])
    assert mine.jobs.failure(slow.key) is None
    assert mine.jobs.is_done(slow.key)


def test_workers_that_cannot_even_start_end_the_run(run, scripted):
    workers = scripted(*[lambda: 1] * (MAX_DEATHS_IN_VAIN + 1))
    with pytest.raises(AuditError) as caught:
        coordinator(run).perform("stage", [job("a")])
    assert (caught.value.code, caught.value.exit_code) == ("E304", 4)
    assert workers.ended == "killed"


def test_the_dearest_job_is_offered_first(run, scripted):
    mine = coordinator(run)
    jobs = [Job({"n": n}, str(n), cost=cost) for n, cost in enumerate((1.0, 5.0, 3.0))]
    offered = []

    def look():
        offered.extend(r["label"] for r in json.loads((run / "queue.json").read_text())["jobs"])
        for item in jobs:
            mine.jobs.perform(item, lambda folder: {})
        return 0

    scripted(look)
    mine.perform("stage", jobs)
    assert offered == ["1", "2", "0"]


# -- the split ---------------------------------


def eligible(world):
    return Eligibility(
        tuple(s.subject for s in world.corpus.forget), {s.subject: ("city",) for s in world.corpus.retain}
    )


def candidates(*digests):
    return [Configured(f"c{i}", "candidate", digest, ()) for i, digest in enumerate(digests)]


def test_a_split_once_drawn_stays_when_a_candidate_is_made_later(run):
    """The second candidate had failed; its weights must not move who is opened after scores were seen."""
    mine = coordinator(run)
    first = mine._split(eligible(mine.world), candidates("aa" * 32, ""))
    assert mine._split(eligible(mine.world), candidates("aa" * 32, "bb" * 32)) == first
    assert len(mine.ledger.openings()) == 2  # forget and retain, each once
    record = json.loads((run / "split.json").read_text())
    assert record["units"] == [asdict(u) for u in first]


def test_the_same_lock_run_elsewhere_may_not_open_others(run, tmp_path):
    """A copy of the locked directory with other weights would draw other units."""
    mine = coordinator(run)
    mine._split(eligible(mine.world), candidates("aa" * 32, "bb" * 32))
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "lock.json").write_bytes((run / "lock.json").read_bytes())
    other = coordinator(copy)
    assert other.world.lock.project == mine.world.lock.project
    with pytest.raises(AuditError) as caught:
        other._split(eligible(other.world), candidates("aa" * 32, "cc" * 32))
    assert caught.value.code == "E509"


def test_persons_an_earlier_audit_opened_are_scored_with_the_others(run, scripted):
    """They are counted on the certificate, so they must be measured; the sealed ones must not."""
    mine = coordinator(run)
    lists = mine.world.lock.content["lists"]
    seen = [
        s.subject
        for s in mine.world.corpus.forget
        if s.subject not in split.tune_subjects(mine.world, "forget")
    ][:3]
    mine.ledger.record(
        list_digest=lists["forget"],
        side="forget",
        lock_digest="of an earlier audit",
        split="calibrate",
        checkpoint="",
        family_digest="",
        units=seen,
    )
    units = mine._split(eligible(mine.world), candidates("aa" * 32))
    mine._reference_scores = {}
    configured = mine._planned({"original": "00" * 32}, candidates("aa" * 32), units)
    for item in configured:
        for job in item.measures:
            scored = set(mine.world.read_units(job.spec["units"])["forget"])
            assert set(seen) <= scored
            assert len(scored) == 10 + 3
            assert not scored & {u.subject for u in units if u.split == "sealed"}


@pytest.mark.parametrize(("family", "tuned"), [("holm", 0), ("graphical", 4)])
def test_an_ordered_family_has_its_tune_persons_scored_under_every_attack(tmp_path, scripted, family, tuned):
    mine = coordinator(lock_in(tmp_path, family=family))
    units = mine._split(eligible(mine.world), candidates("aa" * 32))
    mine._reference_scores = {}
    configured = mine._planned({"original": "00" * 32}, candidates("aa" * 32), units)
    for item in configured:
        assert [job.spec["attack"] for job in item.measures] == mine.world.lock.attacks
        for job in item.measures:
            chosen = mine.world.read_units(job.spec["units"])
            tune = split.tune_subjects(mine.world, "forget")
            assert len(set(chosen["forget"]) & tune) == tuned
            assert len(chosen["forget"]) == 10 + tuned
            assert not set(chosen["twin"]) & split.tune_subjects(mine.world, "twin")
            kept = split.tune_subjects(mine.world, "retain")
            assert ("retain" not in chosen) or len(set(chosen["retain"]) & kept) == tuned // 2


def test_the_opening_is_on_record_before_anything_is_scored(run):
    mine = coordinator(run)
    units = mine._split(eligible(mine.world), candidates("aa" * 32))
    for opening in mine.ledger.openings():
        opened = sorted(u.subject for u in units if u.side == opening.side and u.split == "calibrate")
        assert list(opening.units) == opened
        assert opening.lock_digest == mine.world.lock.digest
        assert opening.split == "calibrate"
