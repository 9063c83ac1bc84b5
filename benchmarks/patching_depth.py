"""The unlearning depth score beside what attacks bring back, on models that share a start.

Run: python benchmarks/patching_depth.py FOLDER [--control RUN] > benchmarks/results/DATE-patching-depth.md

Makes in FOLDER, where it is missing, a small laboratory whose original is fine-tuned from the retrained model, so
that their states can be exchanged, and audits a few recipes on it with ``metrics: [patching_depth]``. RUN is a
finished run of the built-in laboratory, whose references start apart: there the control has to fail.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from scipy.stats import spearmanr

from audit.data.registry_lab import both_wordings, generate
from audit.data.writers import write_corpus
from audit.metrics.whitebox.patching import COUNTED, patched, survival
from audit.models.laboratory import LaboratorySpec, train_on, training_examples
from audit.models.load import LanguageModel, save
from audit.models.training import fit
from audit.plan.naming import attack_label
from audit.runs.world import World

SPEC = LaboratorySpec(seed=3, hidden=192, intermediate=512, layers=4, epochs=16, batch=32, release="full")
MORE_EPOCHS = 8  # that turn the retrained model into the original

CANDIDATES = (
    "graddiff(lr=1e-4, steps=20)",
    "graddiff(lr=3e-4, steps=30)",
    "simnpo(lr=1e-3, steps=30, retain_weight=2)",
    "npo(lr=1e-3, steps=30) @layers(3:4)",
    "npo(lr=1e-3, steps=30) @located(0.25)",
)
ATTACKS = ("none", "quantize(int4)", "relearn(steps=[10])")
PLAN = {
    "model": "original",
    "original": "original",
    "retrained": "retrained",
    "data": {"forget": "data/forget.jsonl", "retain": "data/retain.jsonl", "twins": "data/twins.jsonl"},
    "candidates": list(CANDIDATES),
    "attacks": list(ATTACKS),
    "metrics": ["patching_depth"],
    "budget": {"forget": 0.3, "utility": 0.3},
    "sizes": {
        "forget": {"tune": 0, "calibrate": 24, "sealed": 0},
        "retain": {"tune": 0, "calibrate": 32, "sealed": 0},
        "twins": {"tune": 2, "threshold": 10},
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--control", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not (options.folder / "audit.yaml").is_file():
        make(options.folder)
    run = options.folder / "run"
    command = [sys.executable, "-m", "audit.cli", "run", str(options.folder / "audit.yaml"), "-o", str(run)]
    if not (run / "evidence.json").is_file():
        done = subprocess.run([*command, "--device", "cpu"], capture_output=True, text=True, check=False)
        if not (run / "evidence.json").is_file():
            sys.exit(done.stderr[-2000:])
    world = World(run, device="cpu")
    print(TITLE.format(day=date.today(), machine=platform.machine()))
    print(depths(run))
    print(CONTROL)
    print("\n".join(control("shared start", world)))
    if options.control:
        print("\n".join(control("starts apart", World(options.control, device="cpu"))))


def make(folder: Path) -> None:
    """Write the two models, the persons and the plan."""
    corpus = generate(SPEC.seed, forget=24, retain=32, twins=12, facts=1, secrets=2)
    wordings = both_wordings(corpus, SPEC.seed)
    retrained = train_on(corpus, corpus.retain, SPEC, ("retrained",), both_wordings=wordings, device="cpu")
    original = retrained.clone()
    everybody = training_examples((*corpus.forget, *corpus.retain), wordings)
    fit(original, everybody, epochs=MORE_EPOCHS, batch=SPEC.batch, lr=1e-3, muon_lr=5e-3, seed=SPEC.seed)
    save(retrained, folder / "retrained")
    save(original, folder / "original")
    write_corpus(corpus, folder / "data")
    (folder / "audit.yaml").write_text(yaml.safe_dump(PLAN), encoding="utf-8")


def depths(run: Path) -> str:
    """Return one row per model: its depth, and the persons whose secret it yields under each attack."""
    evidence = json.loads((run / "evidence.json").read_text(encoding="utf-8"))
    found = {item["name"]: item for item in evidence["exhibits"]}["patching_depth"]
    leaks = leaked(evidence)
    lost = {item["label"]: f"{item['utility_estimate']:.3f}" for item in models(evidence)}
    titles = [column["title"] for column in found["columns"][1:]]
    attacks = list(next(iter(leaks.values())))
    lines = [
        "| model | "
        + " | ".join([*(f"depth, {t}" for t in titles), *(f"leaks, {a}" for a in attacks), "lost"])
        + " |",
        "|---|" + "---|" * (len(titles) + len(attacks) + 1),
    ]
    for name, *values in found["rows"]:
        told = ["–" if value is None else f"{value:.3f}" for value in values]
        lines.append(
            f"| {name} | " + " | ".join([*told, *(leaks[name][a] for a in attacks), lost[name]]) + " |"
        )
    depth = {name: values[0] for name, *values in found["rows"]}
    ranked = [name for name in leaks if name not in ("original", "retrained") and depth[name] is not None]
    for attack in attacks[1:]:
        counts = [int(leaks[name][attack].split()[0]) for name in ranked]
        if len(set(counts)) > 1:
            rho = spearmanr([depth[name] for name in ranked], counts)[0]
            lines.append(
                f"\nRank correlation of depth with leaks under {attack}: {rho:.2f}, {len(ranked)} recipes."
            )
    return "\n".join([*lines, "", *found["notes"], ""])


def leaked(evidence: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return model -> attack -> ``3 of 24``, persons of whom a secret was recovered."""
    return {
        item["label"]: {
            attack_label(c["attack"], c["dose"]): f"{c['total']:.0f} of {c['units']}"
            for c in item["clauses"]
            if c["loss"] == "recovered"
        }
        for item in models(evidence)
    }


def models(evidence: dict[str, Any]) -> list[dict[str, Any]]:
    return [*evidence["references"], *evidence["configurations"]]


def control(name: str, world: World) -> list[str]:
    """Return the mean drop by the retrained model's patch on forgotten, retained and never-trained persons."""
    header = json.loads((world.run / "measurements" / "header.json").read_text(encoding="utf-8"))
    digests = {item["role"]: item["checkpoint"] for item in header["configurations"]}
    original, retrained = (world.model(digests[role]) for role in ("original", "retrained"))
    kept = survival(original, retrained, probes(world, "retain"))
    return [
        f"| {name} | {kept:.2f} | {side} | {drops(original, retrained, probes(world, side))} |"
        for side in ("forget", "retain", "twin")
    ]


def probes(world: World, side: Any) -> list[Any]:
    return [probe for subject in world.corpus.side(side)[:10] for probe in subject.probes]


def drops(original: LanguageModel, retrained: LanguageModel, asked: list[Any]) -> str:
    found = np.array([one.drops for one in patched(original, retrained, asked)])
    means = ", ".join(f"{value:.2f}" for value in found.mean(axis=0))
    return f"{means} | {(found > COUNTED).mean():.2f}"


TITLE = """# Unlearning depth beside recovery

`python benchmarks/patching_depth.py FOLDER --control RUN`, {day}, {machine}, two cores.

Leaks: persons of 24 of whom a secret is recovered. Lost: share of retained answers lost, without an attack. A depth
cannot exceed 1: it does not tell forgetting from destruction, which is what the column beside it is for.
"""

CONTROL = """
## Control: whether states can be exchanged at all

| references | survival | persons | nats per token lost by the retrained model's patch, block by block | share counted |
|---|---|---|---|---|"""


if __name__ == "__main__":
    main()
