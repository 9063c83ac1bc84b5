"""Somebody's own project: a small untrained model and the files of a small registry."""

import json

import yaml

from audit.data.registry_lab import generate
from audit.data.writers import write_corpus
from audit.models.laboratory import LaboratorySpec, new_model, tokenizer_for
from audit.models.load import save

PLAN = {
    "model": "model",
    "data": {"forget": "data/forget.jsonl", "retain": "data/retain.jsonl", "twins": "data/twins.jsonl"},
    "candidates": ["npo(steps=5)"],
    "attacks": ["none"],
    "sizes": {
        "forget": {"tune": 0, "calibrate": 40, "sealed": 10},
        "retain": {"tune": 0, "calibrate": 40, "sealed": 10},
        "twins": {"tune": 0, "threshold": 4},
    },
}


def project(folder):
    """Write model, data and plan into ``folder``."""
    corpus = generate(5, forget=50, retain=50, twins=4, facts=1, secrets=2)
    write_corpus(corpus, folder / "data")
    spec = LaboratorySpec(hidden=32, intermediate=64, layers=1, heads=2, vocabulary=300)
    save(new_model(tokenizer_for(corpus, spec), spec, 0, "cpu"), folder / "model")
    (folder / "model" / "audit_prompt.json").unlink()  # as another tool writes it
    replan(folder)
    return folder


def replan(folder, **changes):
    (folder / "audit.yaml").write_text(yaml.safe_dump(PLAN | changes))


def rows(folder, side):
    return [json.loads(line) for line in (folder / "data" / f"{side}.jsonl").read_text().splitlines()]


def write_rows(folder, side, items):
    (folder / "data" / f"{side}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
