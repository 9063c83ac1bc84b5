"""A toy table, a folder of made-up logs, and the real logs where they are present."""

import pandas as pd
import pytest
from log_samples import REAL_LOGS, duet_log, put, tofu_log

from audit.measurements.table import PROBE_COLUMNS, SCHEMA_VERSION, Measurements


@pytest.fixture
def small():
    """Two units with two probes each, one configuration, two metrics."""
    rows = pd.DataFrame(
        [
            ("original", 0, "c0", "none", 0.0, 0, 0, s, p, m, v)
            for v, (s, p, m) in enumerate(
                (s, p, m) for s in ("s1", "s2") for p in ("a", "b") for m in ("nll", "rouge")
            )
        ],
        columns=[
            *("configuration", "seed", "checkpoint", "attack", "dose", "fold", "draw"),
            *("subject", "probe", "metric", "value"),
        ],
    ).astype({"value": float})
    units = pd.DataFrame(
        {
            "subject": ["s1", "s2"],
            "side": ["forget", "retain"],
            "list": ["f", "r"],
            "split": ["calibrate", "calibrate"],
            "order": [0, 0],
            "half": [0, 0],
            "auditable": [True, True],
            "group": ["", ""],
        }
    )
    probes = pd.DataFrame(
        [(s, p, "fact", "plain", None, None) for s in ("s1", "s2") for p in ("a", "b")], columns=PROBE_COLUMNS
    )
    header = {
        "schema_version": SCHEMA_VERSION,
        "audit_id": "toy",
        "lock": {},
        "lock_digest": "",
        "lists": {s: {"digest": "", "size": 1, "drawn": "census"} for s in ("forget", "retain")},
        "metrics": [
            {"name": m, "version": 1, "direction": "lower", "range": [0, None]} for m in ("nll", "rouge")
        ],
        "configurations": [
            {
                "configuration": "original",
                "role": "original",
                "checkpoint": "c0",
                "recipe": "",
                "status": "done",
            }
        ],
        "losses": "fixed",
        "coverage": [
            {
                "configuration": "original",
                "attack": "none",
                "dose": 0.0,
                "side": "forget",
                "state": "measured",
                "reason": "",
            }
        ],
    }
    return Measurements(rows, units, probes, header)


@pytest.fixture
def logs(tmp_path):
    """Two TOFU references, two candidates, and one DUET log."""
    root = tmp_path / "logs"
    put(root / "tofu_Toy-1B_full" / "evals_forget01", tofu_log(1))
    put(root / "tofu_Toy-1B_retain99", tofu_log(2, truth_ratio="forget_Truth_Ratio"))
    put(root / "tofu_Toy-1B_forget01_NPO" / "evals", tofu_log(3, style=lambda i: f"{i}.0"))
    put(root / "tofu_Toy-1B_forget01_GradDiff_full" / "checkpoint-9" / "evals", tofu_log(4))
    put(root / "duet_Toy-8B_city_forget_5_ga_lr1", duet_log(5), "DUET_EVAL.json")
    return root


@pytest.fixture(scope="session")
def real_logs():
    if not (REAL_LOGS / "open_unlearning_eval").is_dir():
        pytest.skip("the real evaluation logs are not beside this checkout")
    return REAL_LOGS
