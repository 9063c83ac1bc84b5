"""Wall time and peak memory of the demo by stage, and what resuming a finished run costs.

Run: python benchmarks/demo_cost.py [--subject lab] [--release int4] [--out DIR]
Prints a table; the ratio is the resumed run's time over the first run's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", default="lab")
    parser.add_argument("--release", default="int4")
    parser.add_argument("--out", default=None)
    options = parser.parse_args()
    out = Path(options.out or tempfile.mkdtemp()) / "demo"
    first, stages, code = run_demo(out, options.subject, options.release)
    print(f"demo --subject {options.subject} --release {options.release}: exit {code}\n")
    print("| stage | wall seconds |\n|---|---|")
    for stage, seconds in stages.items():
        print(f"| {stage} | {seconds:.1f} |")
    print(
        f"| certify, report, leak check, start | {first - sum(stages.values()):.1f} |\n| **all** | **{first:.1f}** |\n"
    )
    print(
        "| jobs | number | seconds each (mean) | peak resident memory of a worker, MiB |\n|---|---|---|---|"
    )
    for kind, (count, seconds, peak) in costs(out / "run").items():
        print(f"| {kind} | {count} | {seconds / count:.1f} | {peak / 2**20:.0f} |")
    again, _, _ = run_demo(out, options.subject, options.release)
    print(
        f"\nthe same command again, nothing left to do: {again:.1f} s, {again / first:.3f} of the first run"
    )


def run_demo(out: Path, subject: str, release: str) -> tuple[float, dict[str, float], int]:
    """Return wall seconds, seconds by stage, and the exit code of one demo."""
    command = [
        sys.executable,
        "-m",
        "audit.cli",
        "demo",
        "--out",
        str(out),
        "--subject",
        subject,
        "--release",
        release,
    ]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.monotonic() - began
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    return (
        wall,
        {line["stage"]: line["elapsed_seconds"] for line in lines if line["state"] == "done"},
        done.returncode,
    )


def costs(run: Path) -> dict[str, tuple[int, float, int]]:
    """Return kind of job -> (number, seconds in all, largest peak in bytes)."""
    found: dict[str, list[dict]] = defaultdict(list)
    for path in (run / "logs").glob("costs-*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            found[record["kind"]].append(record)
    return {
        k: (len(r), sum(x["seconds"] for x in r), max(x["peak_bytes"] for x in r))
        for k, r in sorted(found.items())
    }


if __name__ == "__main__":
    main()
