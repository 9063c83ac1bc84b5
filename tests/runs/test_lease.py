"""Leases: never two workers on one job; a dead worker's job goes to exactly one other."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from audit.runs import lease
from audit.runs.lease import Leases

TAKE = """
import sys, time
from pathlib import Path
from audit.runs.lease import Leases
leases = Leases(Path(sys.argv[1]))
print([leases.take(key) for key in sys.argv[2:]], flush=True)
sys.stdin.read()  # alive until told otherwise
"""

# Contenders that live through all rounds; round r is about one lease that a dead process left behind.
CONTEST = """
import json, multiprocessing, sys
from pathlib import Path
from audit.runs.lease import Leases

run, rounds, contenders = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
context = multiprocessing.get_context("fork")
barrier, results = context.Barrier(contenders), context.Queue()

def contend(number):
    leases, wins = Leases(run), []
    for r in range(rounds):
        barrier.wait()
        if leases.take(f"job{r}"):
            wins.append(r)
    barrier.wait()
    results.put(wins)

workers = [context.Process(target=contend, args=(i,)) for i in range(contenders)]
for worker in workers:
    worker.start()
wins = [results.get() for _ in workers]
for worker in workers:
    worker.join()
print(json.dumps(wins))
"""


def holder(run, *keys):
    """Start a process that takes leases and lives; return it and whether it got each."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(run), *keys],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, json.loads(process.stdout.readline().lower())


@pytest.fixture
def held(tmp_path):
    """A lease on ``job`` held by a live process."""
    process, got = holder(tmp_path, "job")
    assert got == [True]
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def record(**changes):
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": lease._started(os.getpid()),
    } | changes


def put(run, key, content, age=0.0):
    path = Leases(run).folder / key
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    os.utime(path, (time.time() - age,) * 2)


def test_a_lease_is_taken_once_until_it_is_given_back(tmp_path):
    leases = Leases(tmp_path)
    assert leases.take("job")
    assert not leases.take("job")
    assert leases.take("another job")
    leases.release("job")
    assert leases.take("job")


def test_giving_back_what_is_not_held_is_no_error(tmp_path):
    Leases(tmp_path).release("job")


def test_the_lease_of_a_live_worker_is_never_taken_over(tmp_path, held):
    leases = Leases(tmp_path)
    os.utime(leases.folder / "job", (0, 0))  # however old its heartbeat is, its process is there to be seen
    assert not leases.take("job")
    assert leases.is_held("job")
    assert not leases.is_abandoned("job")


def test_the_lease_of_a_killed_worker_is_taken_over(tmp_path, held):
    leases = Leases(tmp_path)
    os.kill(held.pid, signal.SIGKILL)
    held.wait()
    assert leases.is_abandoned("job")
    assert not leases.is_held("job")
    assert leases.take("job")
    assert leases.is_held("job")


def test_a_zombie_holds_nothing(tmp_path, held):
    os.kill(held.pid, signal.SIGKILL)
    os.waitid(os.P_PID, held.pid, os.WEXITED | os.WNOWAIT)  # dead, but not yet buried by its parent
    assert Leases(tmp_path).take("job")


def test_two_workers_killed_with_leases_leave_their_jobs_to_a_third(tmp_path):
    processes = [holder(tmp_path, f"job{i}", "both want it")[0] for i in range(2)]
    leases = Leases(tmp_path)
    assert not any(leases.take(key) for key in ("job0", "job1", "both want it"))
    for process in processes:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    assert all(leases.take(key) for key in ("job0", "job1", "both want it"))


def test_a_reused_process_number_is_seen_by_its_start_time(tmp_path):
    put(tmp_path, "job", record(started="1"))  # this very process number, but of a process started at boot
    put(tmp_path, "mine", record())
    leases = Leases(tmp_path)
    assert leases.is_abandoned("job")
    assert leases.take("job")
    assert not leases.take("mine")


def test_a_process_number_nobody_has_is_dead(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    put(tmp_path, "job", record(pid=int(process.stdout), started="17"))
    assert Leases(tmp_path).take("job")


@pytest.mark.parametrize(
    ("age", "taken"), [(0, False), (lease.EXPIRED_SECONDS - 10, False), (lease.EXPIRED_SECONDS + 1, True)]
)
def test_of_another_host_only_the_heartbeat_is_known(tmp_path, age, taken):
    put(tmp_path, "job", record(host="elsewhere"), age=age)
    assert Leases(tmp_path).take("job") == taken


def test_what_cannot_be_read_is_not_taken_for_dead(tmp_path):
    put(tmp_path, "job", "{")
    leases = Leases(tmp_path)
    assert not leases.take("job")
    assert not leases.is_abandoned("no such job")
    assert not leases.is_held("no such job")


def test_the_heartbeat_goes_on_until_it_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.01)
    leases = Leases(tmp_path)
    leases.take("job")
    path = leases.folder / "job"
    os.utime(path, (0, 0))
    stop = leases.keep_alive("job")
    for _ in range(500):
        if path.stat().st_mtime > 0:
            break
        time.sleep(0.01)
    assert path.stat().st_mtime > 0
    stop.set()


def test_a_judgement_that_came_too_early_is_looked_at_again(tmp_path, held, monkeypatch):
    """Between seeing a dead lease and burying it, a faster worker may have put its own in the same place."""
    leases, looked = Leases(tmp_path), []
    live = (leases.folder / "job").read_text()
    put(tmp_path, "job", record(pid=2**22 + 1, started="1"))
    judge = lease._is_dead

    def slow(path):
        verdict = judge(path)
        if not looked:
            put(tmp_path, "job", live)  # the faster worker
        looked.append(verdict)
        return verdict

    monkeypatch.setattr(lease, "_is_dead", slow)
    assert not leases.take("job")
    assert looked == [True, False]
    assert (leases.folder / "job").read_text() == live


def test_exactly_one_of_several_contenders_takes_over_what_a_dead_worker_left(tmp_path):
    rounds, contenders = 400, 4
    leases = Leases(tmp_path)
    dead = record(pid=2**22 + 1, started="1")  # beyond the largest process number of Linux
    for number in range(rounds):
        put(tmp_path, f"job{number}", dead)
    command = [sys.executable, "-c", CONTEST, str(tmp_path), str(rounds), str(contenders)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    wins = [number for mine in json.loads(done.stdout) for number in mine]
    assert sorted(wins) == list(range(rounds))
    left = {p.name for p in leases.folder.iterdir()} - {f"job{i}" for i in range(rounds)}
    assert left <= {".takeover"}  # no drafts, no graves
