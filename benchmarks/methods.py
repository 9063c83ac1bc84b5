"""Every unlearning method on the laboratory, a small search at equal budget: one table.

Run: python benchmarks/methods.py --out DIR [--size small|quick|full] [--seeds 3] [--methods npo "npo + gu"]
The audit's own runner does the work, one plan per seed, with the same optimizer steps and sequences per step wherever a
method spends them. On seed 0 every method tries the same number of settings: three learning rates, for those that steer
representations three retain weights, for edits without a rate three of their own strengths. The best one is trained and
attacked anew under other seeds, with other persons, and only these are reported. A method that needs the original trained
in another way, or tune subjects, finds them in a laboratory of its own (``methods_ground.py``). Every configuration's numbers
are kept in DIR; the same command goes on where it stopped and adds methods that are new. Writes DIR/methods.md, and
DIR/measured.json with the same numbers, which lies in audit/methods/ with the name of the committed table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import methods_table
from methods_ground import ground_of, references_of

from audit.core.digest import digest_json
from audit.core.errors import AuditError
from audit.core.progress import for_terminal
from audit.evidence.certify import certify
from audit.measurements import store
from audit.measurements.table import Measurements
from audit.methods.base import METHODS, POSTS, STEPS, WEIGHTINGS, spends
from audit.methods.compose import canonical_recipe, parse_recipe
from audit.methods.measured import CARRIER
from audit.plan.exact import check_exact
from audit.plan.grid import expand
from audit.plan.lock import make_lock, write_lock
from audit.plan.schema import parse_plan
from audit.runs.coordinator import Coordinator
from audit.runs.job import write_json


@dataclass(frozen=True)
class Setting:
    """What all methods share: the laboratory, the budget of one training run, the rates searched, the attacks."""

    subject: str
    steps: int
    batch: int
    rates: tuple[float, ...]
    weights: tuple[float, ...]  # retain weights, for ``STEERING``; as many as rates
    attacks: tuple[str, ...]


RATES, WEIGHTS = (1e-4, 3e-4, 1e-3), (1200.0, 30.0, 1.0)
SIZES = {
    "full": Setting("lab", 60, 32, RATES, WEIGHTS, ("none", "quantize(int4)", "relearn(steps=[25])")),
    "small": Setting("tiny", 30, 32, RATES, WEIGHTS, ("none", "quantize(int4)", "relearn(steps=[10])")),
    "quick": Setting("tiny", 30, 32, (1e-3,), (30.0,), ("none", "quantize(int4)", "relearn(steps=[10])")),
}
# Their published retain weight of 1200 is for forget and retain texts that have little in common; where both ask the same
# questions about other persons it holds everything in place, at any rate.
STEERING = ("rmu", "rmu_adaptive", "srmu")
# Edits that spend no rate: their own strength, from the published value on.
STRENGTHS: dict[str, dict[str, tuple[float, ...]]] = {
    "k_fade": {"divergence": (0.005, 0.02, 0.05)},
    "loss_curvature": {"mass": (0.6, 0.75, 0.9)},
    "ssd": {"selection": (10.0, 5.0, 2.0)},
    "u_can": {"threshold": (0.3, 0.1, 0.0)},
}
TUNING_SEED = 0
LEVEL = 0.5  # of both budgets: K is large, so that a laboratory of few persons could show no smaller one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--methods", nargs="+", help="recipes without numbers; default: everything registered"
    )
    parser.add_argument("--workers", type=int)
    asked = parser.parse_args()
    setting = SIZES[asked.size]
    bases = asked.methods or everything()
    seeds = [TUNING_SEED + 1 + number for number in range(asked.seeds)]
    measure({base: search(base, setting) for base in bases}, setting, TUNING_SEED, asked.out, asked.workers)
    tuned = {base: [best_of(asked.out, base, setting)] for base in bases}
    for seed in seeds:
        measure(tuned, setting, seed, asked.out, asked.workers)
    references = dict.fromkeys(
        named for base in bases for named in references_of(ground_of(base, setting.subject)).values()
    )
    found = [kept(asked.out, base, setting, seed) for base in [*bases, *references] for seed in seeds]
    text = "\n".join(methods_table.lines(found))
    (asked.out / "methods.md").write_text(text + "\n", encoding="utf-8")
    write_json(asked.out / "measured.json", methods_table.measured(found))
    print(text)


def everything() -> list[str]:
    """Return every registered method, and every weighting, step, post-calibration and an adapter on one of them."""
    around = [
        *(f"* {weighting}" for weighting in WEIGHTINGS),
        *(f"+ {step}" for step in STEPS),
        *(f"> {post}" for post in POSTS),
        "@lora(16)",
    ]
    return [*METHODS, *(f"{CARRIER} {part}" for part in around)]


def search(base: str, setting: Setting) -> list[str]:
    """Return the recipes tried for ``base``: one per strength, or one where it spends no rate; itself where refused."""
    try:
        method = type(parse_recipe(base).method)
    except AuditError:  # a step on a method without the term it works on, say; said where it is measured
        return [base]
    shared: dict[str, Any] = {"lr": list(setting.rates), "steps": setting.steps, "batch": setting.batch}
    if method.name in STEERING:
        shared |= {"lr": max(setting.rates), "retain_weight": list(setting.weights)}
    own = {
        name: list(values[: len(setting.rates)]) for name, values in STRENGTHS.get(method.name, {}).items()
    }
    trained = {
        name: value for name, value in shared.items() if "lr" in spends(method) and name in spends(method)
    }
    return expand([{"sweep": base, **trained, **own}])


def best_of(out: Path, base: str, setting: Setting) -> str:
    """Return the recipe that the search on the tuning seed speaks for, every number written out."""
    records = kept(out, base, setting, TUNING_SEED)["configurations"]
    return methods_table.best(records)["recipe"]


def measure(
    recipes: dict[str, list[str]], setting: Setting, seed: int, out: Path, workers: int | None
) -> None:
    """Measure, in one audit per laboratory, the recipes of every base that is not kept yet, and keep them."""
    wanted: dict[str, dict[str, list[str]]] = {}  # laboratory, as text -> base -> recipes
    for base, texts in recipes.items():
        try:
            names, ground = [canonical_recipe(text) for text in texts], ground_of(base, setting.subject)
            check_exact(parse_plan(plan_of(names, setting, seed, ground), base=out))
        except AuditError as error:
            keep(out, base, setting, seed, [{"recipe": base, "failure": f"{error.code} {error.cause}"}])
        else:
            if not holds(out, base, setting, seed, names):
                wanted.setdefault(json.dumps(ground), {})[base] = names
    for text, searches in sorted(wanted.items(), reverse=True):  # the usual laboratory, {}, comes first
        _measure(searches, setting, seed, out, workers, json.loads(text))


def _measure(
    searches: dict[str, list[str]],
    setting: Setting,
    seed: int,
    out: Path,
    workers: int | None,
    ground: dict[str, Any],
) -> None:
    measurements, run = audit(searches, setting, seed, out, workers, ground)
    costs = costs_of(run)
    for base, names in searches.items():
        keep(out, base, setting, seed, list(results(measurements, names, costs)))
    for role, named in references_of(ground).items():
        if not place(out, named, setting, seed).is_file():
            keep(out, named, setting, seed, list(results(measurements, [], costs, role)))


def audit(
    recipes: dict[str, list[str]],
    setting: Setting,
    seed: int,
    out: Path,
    workers: int | None,
    ground: dict[str, Any],
) -> tuple[Measurements, Path]:
    """Lock and run one plan; the folder is named by what it holds, so that the same search goes on there."""
    candidates = [text for texts in recipes.values() for text in texts]
    named = [asdict(setting), seed, candidates, *([ground] if ground else [])]
    folder = out / "runs" / digest_json(named)[:12]
    plan = plan_of(candidates, setting, seed, ground)
    folder.mkdir(parents=True, exist_ok=True)
    write_lock(folder / "run", make_lock(parse_plan(plan, base=folder), folder))
    coordinator = Coordinator(
        folder / "run", device="auto", workers=workers, progress=for_terminal(quiet=False)
    )
    coordinator.execute()
    return store.read(folder / "run" / "measurements"), folder / "run"


def plan_of(candidates: Sequence[str], setting: Setting, seed: int, ground: dict[str, Any]) -> dict[str, Any]:
    """Return the plan of one audit of these candidates, in the laboratory that they need."""
    return {
        "title": "methods at equal budget",
        "laboratory": {"subject": setting.subject},
        "candidates": list(candidates),
        "attacks": list(setting.attacks),
        "budget": {"forget": LEVEL, "utility": LEVEL},
        "seed": seed,
        **ground,
    }


def results(
    measured: Measurements, names: Sequence[str], costs: dict[str, Any], role: str = "candidate"
) -> Iterator[dict[str, Any]]:
    """Yield one record per configuration, with bounds simultaneous over ``names`` alone: one method's own search."""
    header = dict(measured.header)
    header["configurations"] = [
        c for c in header["configurations"] if c["role"] != "candidate" or c["configuration"] in names
    ]
    there = {c["configuration"] for c in header["configurations"]}
    header["coverage"] = [c for c in header["coverage"] if c["configuration"] in there]
    rows = measured.rows[measured.rows["configuration"].isin(there)]
    certificate = certify(Measurements(rows, measured.units, measured.probes, header))
    for item in (*certificate.references, *certificate.configurations):
        if item.role != role:
            continue
        broken = [c.reason for c in item.clauses if c.state in ("failed", "stopped")]
        yield {
            "recipe": item.configuration,
            "configuration": item.label,
            "failure": broken[0] if broken else "",
            "recovered": {c.attack: c.estimate for c in item.clauses if c.side == "forget"},
            "cur": {c.attack: c.upper for c in item.clauses if c.side == "forget"},
            "worst_cur": item.cur,
            "harm": item.utility_estimate,
            "harm_upper": item.utility_upper,
            **cost(labels(item.configuration) if role == "candidate" else [f"train {role}"], costs),
        }


def labels(recipe: str) -> list[str]:
    """Return the labels of the jobs that make a candidate: its training, and its post-calibration."""
    parsed = parse_recipe(recipe)
    return list(dict.fromkeys([parsed.training.short, parsed.short]))


def cost(labels: Sequence[str], costs: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return CPU seconds and peak bytes of these jobs together; nothing where one of them is unknown."""
    found = [costs[label] for label in labels if label in costs]
    if len(found) < len(labels):
        return {}
    return {
        "cpu_seconds": sum(one["cpu_seconds"] for one in found),
        "peak_bytes": max(one["peak_bytes"] for one in found),
    }


def costs_of(run: Path) -> dict[str, dict[str, float]]:
    """Return label of a job that makes weights -> its CPU seconds and peak bytes; the last one counts."""
    found = {}
    for path in sorted((run / "logs").glob("costs-*.jsonl")):
        for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            if line["kind"] in ("unlearn", "calibrate", "reference"):
                found[line["label"]] = {"cpu_seconds": line["cpu_seconds"], "peak_bytes": line["peak_bytes"]}
    return found


def place(out: Path, base: str, setting: Setting, seed: int) -> Path:
    """Return where the records of one method's search are kept."""
    key = digest_json([base, asdict(setting)])[:12]
    return out / "results" / f"seed-{seed}" / f"{methods_table.slug(base)}-{key}.json"


def holds(out: Path, base: str, setting: Setting, seed: int, texts: Sequence[str]) -> bool:
    """Return whether the records of one method's search are there, and are those of ``texts``; a refusal is none."""
    if not place(out, base, setting, seed).is_file():
        return False
    there = {record["recipe"] for record in kept(out, base, setting, seed)["configurations"]}
    return there == {canonical_recipe(text) for text in texts}


def keep(out: Path, base: str, setting: Setting, seed: int, records: list[dict[str, Any]]) -> None:
    write_json(place(out, base, setting, seed), {"method": base, "seed": seed, "configurations": records})


def kept(out: Path, base: str, setting: Setting, seed: int) -> dict[str, Any]:
    return json.loads(place(out, base, setting, seed).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
