"""Commands run as users run them: in a process of their own, or in this one where nothing is trained."""

import os
import subprocess
import sys

from typer.testing import CliRunner

from audit.cli import app

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


def call(*args):
    """Run a command in this process; whatever it raises besides its exit code is a defect."""
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result
