"""Seconds and memory to certify 1,000 configurations under 6 attacks on 2,000 units, and the ratio to MAPIE.

Run: OMP_NUM_THREADS=1 python benchmarks/certify.py [--configurations 1000] [--units 2000]
Every line is a process of its own, so that peak memory is its own; CPU seconds are those of that process, imports and
drawing the losses excluded. Needs MAPIE (`pip install unlearning-auditor[test]`), used through its public API.
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import mapie
import mapie_ltt
import numpy as np
import scipy

from audit.risk.model import ConformalRiskModel
from audit.risk.table import Clause, LossTable

ATTACKS, ALPHA, DELTA = 6, 0.1, 0.05
CASES = {
    "0/1, draws": (True, False),
    "0/1, list": (True, True),
    "graded, draws": (False, False),
    "graded, list": (False, True),
}
MAPIE = "0/1, draws: MAPIE's LTT (Holm on the largest p)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configurations", type=int, default=1000)
    parser.add_argument("--units", type=int, default=2000)
    parser.add_argument("--case", choices=[*CASES, MAPIE], help="one case in this process")
    asked = parser.parse_args()
    if asked.case:
        for line in measured(asked.case, asked.configurations, asked.units):
            print(line)
        return
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, MAPIE {mapie.__version__}; "
        f"{asked.configurations} configurations, {ATTACKS} attacks, {asked.units} units, lists of {2 * asked.units}; one core\n"
    )
    print("| losses | up to | CPU s | wall s | peak memory, MiB |\n|---|---|---|---|---|")
    size = [f"--configurations={asked.configurations}", f"--units={asked.units}"]
    seconds = {}
    for case in [*CASES, MAPIE]:
        command = [sys.executable, __file__, f"--case={case}", *size]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        print("\n".join(lines), flush=True)
        seconds[case] = float(lines[0].split("|")[3])
    ratio = seconds["0/1, draws"] / seconds[MAPIE]
    print(
        f"\nours / MAPIE on the same 0/1 matrix, p-values and valid set, CPU: {ratio:.2f}; MAPIE finishes at this size"
    )


def measured(case: str, configurations: int, units: int) -> Iterator[str]:
    """Yield table rows; times are cumulative, from the loss matrix on."""
    binary, listed = CASES.get(case, (True, False))
    losses = draw(binary, configurations, units)
    warm_up(binary, listed)
    if case == MAPIE:
        losses = losses.astype(np.int8)  # the form it is fastest on
    clock = Clock(case)
    if case == MAPIE:
        made = mapie_ltt.max_p(losses, ALPHA, DELTA)
        yield clock.row(f"p-values and valid set ({len(made.valid_predict_params)} listed)")
        return
    model = certify(losses, binary, listed)
    yield clock.row(f"p-values and valid set ({len(model.valid_set_)} listed)")
    covered = int((model.cur_ <= ALPHA).sum())
    yield clock.row(f"and simultaneous CUR ({covered} within the budget)")
    broken = int(model.fails_.sum())
    yield clock.row(
        f"and FAIL ({broken} configurations), marginal CUR, lower bounds ({model.cur_marginal_.mean():.3f}, {model.cur_lower_.mean():.3f} on average)"
    )


def draw(binary: bool, configurations: int, units: int) -> np.ndarray:
    """Return losses (A, C, n): worst risks .01 to .20, the other attacks 0.5 to 1 times that."""
    random = np.random.default_rng(0)
    risks = random.uniform(0.01, 0.2, configurations) * random.uniform(0.5, 1, (ATTACKS, configurations))
    if binary:
        return (random.random((ATTACKS, configurations, units)) < risks[:, :, None]).astype(float)
    return random.beta(10 * risks[:, :, None], 10 * (1 - risks[:, :, None]), (ATTACKS, configurations, units))


def certify(losses: np.ndarray, binary: bool, listed: bool) -> ConformalRiskModel:
    """Fit the model on a table of these losses; the last attack stands in for utility, as one clause of six."""
    population = 2 * losses.shape[2] if listed else None
    clauses = tuple(
        Clause(f"clause {a}", "utility" if a == ATTACKS - 1 else "forget", part, population, binary=binary)
        for a, part in enumerate(losses)
    )
    names = tuple(f"c{row}" for row in range(losses.shape[1]))
    return ConformalRiskModel(ALPHA, ALPHA, DELTA).fit(LossTable(names, clauses, len(names)))


def warm_up(binary: bool, listed: bool) -> None:
    """Import what is imported on first use, on a table that leaves nothing to reuse."""
    losses = np.zeros((ATTACKS, 1, 7))
    certify(losses, binary, listed).cur_.sum()
    mapie_ltt.max_p(losses.astype(np.int8), 0.5, DELTA)


class Clock:
    """Time since it was made, and the memory of the process at its peak."""

    def __init__(self, case: str) -> None:
        self.case, self.cpu, self.wall = case, time.process_time(), time.perf_counter()

    def row(self, what: str) -> str:
        """Return one line of the table."""
        cpu, wall = time.process_time() - self.cpu, time.perf_counter() - self.wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return f"| {self.case} | {what} | {cpu:.2f} | {wall:.2f} | {peak:.0f} |"


if __name__ == "__main__":
    main()
