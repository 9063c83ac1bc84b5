"""Commands run as users run them: in a process of their own, or in this one where nothing is trained."""

import json
import os
import signal
import subprocess
import sys
import time

from typer.testing import CliRunner

from audit.cli import app
from audit.runs.job import Job, Jobs

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1"}
TINY = """
laboratory: {subject: tiny, release: int4, facts: 2, secrets: 2}
candidates:
  - npo(lr=0.0003, steps=60)
  - simnpo(lr=0.001, steps=60)
  - graddiff(lr=0.001, steps=30) @lora(8)
  - idk_sft(lr=0.003, steps=40) @layers(1:2)
attacks: [none, quantize(int4), quantize(nf4), "relearn(steps=[5, 10])", paraphrase]
keep: all
"""


def command(*args, **options):
    """Return the finished process of a command; standard error is JSON lines of progress."""
    line = [sys.executable, "-m", "audit.cli", *map(str, args)]
    return subprocess.run(line, env=ENVIRONMENT, capture_output=True, text=True, check=False, **options)


def interrupted(*args, when, everyone=True):
    """Start a command, kill it when ``when()`` says so, all its processes or the first one alone."""
    line = [sys.executable, "-m", "audit.cli", *map(str, args)]
    process = subprocess.Popen(
        line, env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not when():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL) if everyone else process.kill()
    assert process.wait() == -signal.SIGKILL


def stage(run):
    """Return (stage, done jobs of it, leases held)."""
    try:
        queue = json.loads((run / "queue.json").read_text())
    except FileNotFoundError:
        return "", 0, 0
    keys = [Job(**record).key for record in queue["jobs"]]
    held = sum((run / "leases" / key).exists() for key in keys)
    return queue["stage"], sum(Jobs(run).is_done(key) for key in keys), held


def call(*args):
    """Run a command in this process; whatever it raises besides its exit code is a defect."""
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result
