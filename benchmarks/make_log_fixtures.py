"""Make the golden fixtures of real evaluation logs: every per-sample number, no text.

    python benchmarks/make_log_fixtures.py LOGS [-o calibration_data/logs]

LOGS is a folder with the logs and the MANIFEST.json that names their sources. Reads the JSON by itself, so
that the fixtures are an oracle for the importer; they share its rule for DUET's units and the exact match.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from audit.core.digest import digest_file
from audit.core.text import yields
from audit.measurements.importers.duet import entity_of, question_of

TOFU = "open_unlearning_eval/tofu_Llama"
DUET = "duet_8b/duet_Llama-3.1-8B-Instruct_city_forget_5"
LORA = "lora_r32_lalpha64_ldrop0p0"
LOGS = {
    "tofu_1b_full_forget10": f"{TOFU}-3.2-1B-Instruct_full/evals_forget10/TOFU_EVAL.json",
    "tofu_1b_retain90": f"{TOFU}-3.2-1B-Instruct_retain90/TOFU_EVAL.json",
    "tofu_7b_retain90": f"{TOFU}-2-7b-chat-hf_retain90/TOFU_EVAL.json",
    "duet_8b_ga_1e-5": f"{DUET}_ga_{LORA}_lr1e-5/DUET_EVAL.json",
    "duet_8b_npo_1e-3": f"{DUET}_npo_{LORA}_lr1e-3_beta0p5_alpha1p0_gamma1p0/DUET_EVAL.json",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("calibration_data/logs"))
    arguments = parser.parse_args()
    sources = {item["file"]: item for item in json.loads((arguments.logs / "MANIFEST.json").read_text())}
    manifest = [make(name, path, sources[path], arguments) for name, path in LOGS.items()]
    (arguments.output / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")


def make(name: str, path: str, source: dict, arguments: argparse.Namespace) -> dict:
    """Write one fixture and return its line of the manifest."""
    data = json.loads((arguments.logs / path).read_text())
    target = arguments.output / f"{name}.parquet"
    columns = list(zip(*rows(data), strict=True))
    types = {
        "metric": pa.string(),
        "part": pa.string(),
        "field": pa.string(),
        "position": pa.int8(),
        "index": pa.int16(),
        "unit": pa.int16(),
        "value": pa.float64(),
    }
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types.values(), strict=True)]
    pq.write_table(
        pa.table(arrays, names=list(types)),
        target,
        compression="zstd",
        compression_level=19,
        use_dictionary=["metric", "part", "field"],
        column_encoding={
            "value": "BYTE_STREAM_SPLIT",
            "index": "DELTA_BINARY_PACKED",
            "unit": "DELTA_BINARY_PACKED",
        },
    )
    aggregates = {key: entry["agg_value"] for key, entry in data.items()}
    origin = {"repository": source["repository"], "path": source["path"], "licence": source["licence"]}
    print(f"{name}: {len(columns[0])} numbers, {target.stat().st_size} bytes")
    return {
        "file": target.name,
        "sha256": digest_file(target),
        "source": {**origin, "sha256": source["sha256"]},
        "aggregates": aggregates,
    }


def rows(data: dict) -> list[tuple]:
    """Return (metric, part, field, position, index, unit, value) of every number, in the log's order.

    ``part`` is forget or holdout inside a membership metric; ``position`` counts in a list of answers, -1
    otherwise; ``unit`` counts authors (20 questions) or cities by first appearance, -1 where there is none.
    """
    found: list[tuple] = []
    cities: dict[str, int] = {}
    for metric, entry in data.items():
        parts = {"": entry, **{p: entry[p] for p in ("forget", "holdout") if p in entry}}
        for part, block in parts.items():
            for key, item in (block.get("value_by_index") or {}).items():
                unit = unit_of(metric, int(key), item, cities)
                found += [(metric, part, f, p, int(key), unit, v) for f, p, v in numbers(item)]
    return found


def unit_of(metric: str, index: int, item: dict, cities: dict[str, int]) -> int:
    """Return the author's or city's number; DUET's two lists share one numbering."""
    if metric.endswith("_qa_rouge"):
        return cities.setdefault(entity_of(question_of(item["input"])), len(cities))
    return -1 if metric.startswith(("ra_", "wf_")) else index // 20


def numbers(item: dict) -> list[tuple[str, int, float]]:
    """Return (field, position, value) of one sample, with exact_match where there is a generation."""
    found = []
    for field, value in item.items():
        if isinstance(value, list):
            found += [(field, position, one) for position, one in enumerate(value)]
        elif not isinstance(value, str):
            found.append((field, -1, value))
    if "generation" in item:
        found.append(("exact_match", -1, float(yields(item["ground_truth"], item["generation"]))))
    return found


if __name__ == "__main__":
    main()
