"""How many valid configurations are certified, against MAPIE's Learn-then-Test; how many units graded losses need.

Run: OMP_NUM_THREADS=1 python benchmarks/power.py [--quick]
Needs MAPIE (`pip install unlearning-auditor[test]`), used through its public API (`mapie_ltt.py`).
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import mapie
import mapie_ltt
import numpy as np
import power_units
import scipy
from statsmodels.stats.proportion import proportion_confint

from audit.risk.model import ConformalRiskModel
from audit.risk.orders import pareto_order
from audit.risk.table import Clause, LossTable

ALPHA, DELTA, CONFIGURATIONS, ATTACKS = 0.1, 0.05, 20, 3
TUNE = 0.25

Decide = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Losses (A, C, n) in {0, 1} and a generator for what is drawn beside them -> (C,) bool, the certified."""


@dataclass(frozen=True)
class World:
    """True risks (A, C); ``shared`` is the chance that a unit's outcome is common to all configurations."""

    name: str
    risks: np.ndarray
    shared: float = 0.0
    list_factor: int | None = None  # units are drawn without replacement from a list this many times as long

    @property
    def valid(self) -> np.ndarray:
        """(C,) bool: within the budget under every attack."""
        return (self.risks <= ALPHA).all(axis=0)

    def draw(self, random: np.random.Generator, n: int) -> np.ndarray:
        """Return losses (A, C, n)."""
        shape = (*self.risks.shape, n)
        if self.list_factor is not None:
            return self._from_list(random, n)
        own, common = random.random(shape), random.random(n)
        chance = np.where(random.random(shape) < self.shared, common, own) if self.shared else own
        return (chance < self.risks[:, :, None]).astype(np.int8)

    def _from_list(self, random: np.random.Generator, n: int) -> np.ndarray:
        size = n * self.list_factor
        failing = np.round(self.risks * size).astype(int)
        drawn = random.hypergeometric(failing, size - failing, n)
        return random.permuted((np.arange(n) < drawn[:, :, None]).astype(np.int8), axis=2)


def ladder(worst: np.ndarray) -> np.ndarray:
    """Return risks (A, C) whose maximum is ``worst``; the other attacks find 60 and 80 % of it, taking turns."""
    shares = np.array([[1.0, 0.8, 0.6], [0.6, 1.0, 0.8], [0.8, 0.6, 1.0]])
    return worst * shares[np.arange(len(worst)) % ATTACKS].T


STEPS = np.arange(1, CONFIGURATIONS + 1) / 100  # .01 to .20, ten of them within the budget
WORLDS = (
    World("one attack worst, outcomes independent", ladder(STEPS)),
    World("the three attacks equally strong", np.tile(STEPS, (ATTACKS, 1))),
    World("half of a unit's outcomes shared by all configurations", ladder(STEPS), shared=0.5),
    World("ten at .05, ten just above the budget (.1001)", ladder(np.repeat([0.05, 0.1001], 10))),
)
ON_A_LIST = World("0/1 losses on a finite list of 2n units", ladder(STEPS), list_factor=2)


def ours(
    losses: np.ndarray,
    random: np.random.Generator,
    family: str = "holm",
    order: np.ndarray | None = None,
    population: int | None = None,
    declared: bool | None = True,
) -> np.ndarray:
    """Certify with ConformalRiskModel; utility, which MAPIE is not told about, is a clause without harm."""
    made = table(losses, population, declared, order)
    return ConformalRiskModel(ALPHA, ALPHA, DELTA, family).fit(made).valid_


def table(losses: np.ndarray, population=None, declared=True, order=None) -> LossTable:
    attacks, rows, n = losses.shape
    clauses = [
        Clause(f"attack {a}", "forget", losses[a], population, binary=declared) for a in range(attacks)
    ]
    clauses.append(Clause("utility", "utility", np.zeros((rows, n)), population, binary=True))
    names = tuple(f"c{row}" for row in range(rows))
    return LossTable(names, tuple(clauses), rows, None if order is None else tuple(int(i) for i in order))


def ordered(
    losses: np.ndarray, random: np.random.Generator, family: str, order: np.ndarray, noise: float = 0.0
):
    """Certify along a pre-specified order of true risks (C,), blurred by ``noise`` that never saw the losses."""
    return ours(
        losses, random, family, np.argsort(order + random.normal(0, noise, len(order)), kind="stable")
    )


def learned(losses: np.ndarray, random: np.random.Generator, family: str) -> np.ndarray:
    """Spend the first quarter of the units on the order, test on the others."""
    tune = round(TUNE * losses.shape[2])
    order = np.array(pareto_order(table(losses[:, :, :tune]), ALPHA, ALPHA))
    return ours(losses[:, :, tune:], random, family, order)


def mapie_holm(losses: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return mapie_ltt.listed(mapie_ltt.max_p(losses, ALPHA, DELTA), losses.shape[1])


def mapie_pairs(losses: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return mapie_ltt.every_pair(losses, ALPHA, DELTA)


def mapie_split(losses: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return mapie_ltt.split_fixed_sequence(losses, ALPHA, DELTA, round(TUNE * losses.shape[2]))


def procedures(world: World) -> dict[str, Decide]:
    worst = world.risks.max(axis=0)
    return {
        BASELINE: mapie_holm,
        "MAPIE: Holm on all 60 (configuration, attack)": mapie_pairs,
        SPLIT: mapie_split,
        OURS: ours,
        "ours: fixed sequence, order from 25 %": partial(learned, family="fixed_sequence"),
        "ours: graphical, order from 25 %": partial(learned, family="graphical"),
        PRESPECIFIED: partial(ordered, family="fixed_sequence", order=worst),
        "ours: graphical, pre-specified order": partial(ordered, family="graphical", order=worst),
        "ours: fixed sequence, pre-specified order off by sd .02": partial(
            ordered, family="fixed_sequence", order=worst, noise=0.02
        ),
        "ours: graphical, pre-specified order off by sd .02": partial(
            ordered, family="graphical", order=worst, noise=0.02
        ),
        "ours: fixed sequence, worst first (a bad order)": partial(
            ordered, family="fixed_sequence", order=-worst
        ),
        "ours: graphical, worst first (a bad order)": partial(ordered, family="graphical", order=-worst),
        "ours: Holm, 0/1 not declared (betting)": partial(ours, declared=None),
    }


SPLIT = "MAPIE: split_fixed_sequence, order from 25 %"
SLOWER = (
    5  # learning MAPIE's order takes 50 times what everything else takes; it gets a fifth of the replications
)
BASELINE = "MAPIE: Holm on the largest p of the attacks"
OURS = "ours: Holm"
PRESPECIFIED = "ours: fixed sequence, pre-specified order"


@dataclass
class Score:
    """Certified per replication, and how often something invalid was."""

    certified: list[int]
    violations: int = 0

    def cells(self, base: float) -> str:
        """Return mean, ratio to ``base`` and rate of violations as table cells."""
        mean = np.mean(self.certified)
        low, high = proportion_confint(self.violations, len(self.certified), method="beta")
        error = np.std(self.certified) / np.sqrt(len(self.certified))
        rate = self.violations / len(self.certified)
        return f"{mean:.2f} ± {error:.2f} | {mean / base:.2f} | {rate:.4f} [{low:.4f}, {high:.4f}]"


def compare(world: World, n: int, decisions: dict[str, Decide], replications: int) -> dict[str, Score]:
    scores = {name: Score([]) for name in decisions}
    for replication in range(replications):
        losses = world.draw(np.random.default_rng([n, replication]), n)
        for number, (name, decide) in enumerate(decisions.items()):
            if name == SPLIT and replication >= replications // SLOWER:
                continue
            marked = decide(losses, np.random.default_rng([n, replication, number]))
            scores[name].certified.append(int((marked & world.valid).sum()))
            scores[name].violations += bool((marked & ~world.valid).any())
    return scores


def show(world: World, sizes: tuple[int, ...], replications: int, only: tuple[str, ...] = ()) -> Findings:
    """Print one table per n and return what the cells show."""
    print(f"\n### {world.name}\n")
    found = Findings()
    for n in sizes:
        decisions = {name: d for name, d in procedures(world).items() if not only or name in only}
        if world.list_factor:
            decisions[OURS] = partial(ours, population=n * world.list_factor)
        scores = compare(world, n, decisions, replications)
        base = float(np.mean(scores[BASELINE].certified))
        print(
            f"n = {n}\n\n| procedure | certified of the {world.valid.sum()} valid, mean ± s.e. | ratio | lists an invalid one [95 %] |"
        )
        print("|---|---|---|---|")
        for name, score in scores.items():
            print(f"| {name} | {score.cells(base)} |")
        print()
        found.add(f"{world.name}, n = {n}", scores, base)
    return found


@dataclass
class Findings:
    """What was promised, and every cell in which a procedure of ours certifies less than MAPIE's default."""

    promised: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def add(self, where: str, scores: dict[str, Score], base: float) -> None:
        """Note the cells of one table."""
        fewer = sum(a < b for a, b in zip(scores[OURS].certified, scores[BASELINE].certified, strict=True))
        self.promised.append(
            f"{where}: Holm certifies fewer than MAPIE in {fewer} of {len(scores[OURS].certified)} matrices"
        )
        if PRESPECIFIED in scores:
            self.promised[-1] += (
                f"; pre-specified order {np.mean(scores[PRESPECIFIED].certified) / base:.2f} times as many"
            )
        for name, score in scores.items():
            if name.startswith("ours") and np.mean(score.certified) < base:
                self.lost.append(
                    f"{where}: {name.removeprefix('ours: ')} {np.mean(score.certified) / base:.2f}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the replications")
    replications = 100 if parser.parse_args().quick else 1000
    began, wall = time.process_time(), time.perf_counter()
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, MAPIE {mapie.__version__}; "
        f"{replications} replications a cell; alpha = {ALPHA}, delta = {DELTA}, {CONFIGURATIONS} configurations, {ATTACKS} attacks"
    )
    print("\n## Certified configurations, 0/1 losses")
    found = [show(WORLDS[0], (100, 200, 400), replications)]
    found += [show(world, (200,), replications) for world in WORLDS[1:]]
    found += [show(ON_A_LIST, (100, 200, 400), replications, (BASELINE, OURS))]
    print("### Promised\n")
    print("\n".join(f"- {line}" for part in found for line in part.promised))
    print("\n### Where ours certifies less than MAPIE's default (ratio)\n")
    print("\n".join(f"- {line}" for part in found for line in part.lost))
    power_units.show(replications // 2)
    print(f"\n{time.process_time() - began:.0f} CPU seconds, {time.perf_counter() - wall:.0f} s wall")


if __name__ == "__main__":
    main()
