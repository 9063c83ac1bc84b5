"""Evaluation logs by name: five as numbers in calibration_data/, all of TOFU's where they lie beside the checkout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "calibration_data" / "logs"
REAL = ROOT.parent / "shared" / "data"
LISTS = {"forget10": "retain90", "forget05": "retain95", "forget01": "retain99"}
MODELS = ("Llama-3.2-1B-Instruct", "Llama-3.2-3B-Instruct", "Llama-2-7b-chat-hf")


@dataclass(frozen=True)
class Numbers:
    """One log: ``values`` by (metric, field, part), each (n,) or (n, answers); ``logged`` what it states itself."""

    values: dict[tuple[str, str, str], np.ndarray]
    logged: dict[str, float]

    def get(self, metric: str, field: str = "score", part: str = "") -> np.ndarray:
        return self.values[metric, field, part]


@cache
def fixture_log(name: str) -> Numbers:
    frame = pd.read_parquet(FIXTURES / f"{name}.parquet")
    manifest = {item["file"]: item for item in json.loads((FIXTURES / "MANIFEST.json").read_text())}
    values = {}
    for key, rows in frame.groupby(["metric", "field", "part"], observed=True):
        table = rows.pivot(index="index", columns="position", values="value").sort_index()
        values[key] = table.to_numpy().squeeze(1) if table.shape[1] == 1 else table.to_numpy()
    return Numbers(values, manifest[f"{name}.parquet"]["aggregates"])


@cache
def real_log(path: Path) -> Numbers:
    data = json.loads(path.read_text())
    values = {}
    for metric, entry in data.items():
        for part in ("", "forget", "holdout"):
            block = (entry.get(part) or {}) if part else entry
            samples = list((block.get("value_by_index") or {}).values())
            for field in samples[0] if samples else ():
                if not isinstance(samples[0][field], str):
                    values[metric, field, part] = np.array([sample[field] for sample in samples], dtype=float)
    return Numbers(values, {metric: entry["agg_value"] for metric, entry in data.items()})


def real_path(model: str, forget_list: str, role: str) -> Path:
    folder = REAL / "open_unlearning_eval"
    if role == "full":
        return folder / f"tofu_{model}_full" / f"evals_{forget_list}" / "TOFU_EVAL.json"
    return folder / f"tofu_{model}_{LISTS[forget_list]}" / "TOFU_EVAL.json"


@pytest.fixture
def fixtures():
    return fixture_log


@pytest.fixture(params=[(m, f) for m in MODELS for f in LISTS], ids=lambda p: f"{p[0]}-{p[1]}")
def real_pair(request):
    """The logs of the model trained on everything and of the one retrained without one forget list."""
    paths = [real_path(*request.param, role) for role in ("full", "retain")]
    if not all(path.is_file() for path in paths):
        pytest.skip("the real evaluation logs are not beside this checkout")
    return tuple(map(real_log, paths))


def every_path() -> list[Path]:
    """All of TOFU's logs, as far as they lie beside the checkout."""
    return [real_path(m, f, role) for m in MODELS for f in LISTS for role in ("full", "retain")]


@pytest.fixture(
    params=every_path(), ids=lambda path: "-".join(path.relative_to(REAL / "open_unlearning_eval").parts[:-1])
)
def tofu_path(request):
    """One of TOFU's logs."""
    if not request.param.is_file():
        pytest.skip("the real evaluation logs are not beside this checkout")
    return request.param


@pytest.fixture
def tofu_paths():
    """Return where all of TOFU's logs are expected."""
    return every_path()


@pytest.fixture
def real_data():
    if not (REAL / "open_unlearning_eval").is_dir():
        pytest.skip("the real evaluation logs are not beside this checkout")
    return REAL


@pytest.fixture
def unlearning_depth():
    path = REAL / "uds_model_level" / "method_results.json"
    if not path.is_file():
        pytest.skip("the table of the unlearning-depth study is not beside this checkout")
    return json.loads(path.read_text())["models"]
