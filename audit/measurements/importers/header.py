"""The header of imported measurements: lists, metrics, roles, coverage, and what each log gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from audit.core.digest import digest_json
from audit.measurements.importers import fields
from audit.measurements.importers.base import Request
from audit.measurements.importers.sides import Audit, Side, Source, is_sampled, list_name
from audit.measurements.table import SCHEMA_VERSION


def build_header(
    audit: Audit,
    request: Request,
    importer: str,
    sides: Mapping[str, Side],
    rows: Any,
    incomplete: Counter[str],
) -> dict[str, Any]:
    """Return the complete header; ``incomplete`` counts dropped (unit, metric) pairs per configuration."""
    metrics = sorted(map(str, rows["metric"].unique()))
    logs = [_log_entry(source, sides, incomplete) for source in audit.sources]
    lock = {
        "kind": "import",
        "importer": importer,
        "seed": request.seed,
        "sample": request.sample,
        "logs": sorted(source.log.sha256 for source in audit.sources),
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "audit_id": audit.audit_id,
        "lock": lock,
        "lock_digest": digest_json(lock),
        "lists": {side: _list_entry(audit, side, s, request) for side, s in sides.items()},
        "metrics": [fields.record(metric) for metric in metrics],
        "configurations": [
            {
                "configuration": s.configuration,
                "role": s.role,
                "checkpoint": "",
                "recipe": s.configuration,
                "status": "imported",
            }
            for s in audit.sources
        ],
        "losses": "fixed",  # one logged number per probe: it cannot come out differently
        "coverage": [_cell(source, side, sides, rows) for source in audit.sources for side in sides],
        "import": {
            "importer": importer,
            "benchmark": audit.benchmark,
            "base": audit.base,
            "forget_list": audit.forget_list,
            "logs": logs,
            "assumed_direction": [metric for metric in metrics if not fields.is_known(metric)],
        },
    }


def _list_entry(audit: Audit, side: str, s: Side, request: Request) -> dict[str, Any]:
    name = list_name(audit, side)
    drawn = "lock+logs" if is_sampled(side, len(s.names), request) else "census"
    return {"name": name, "digest": digest_json([name, list(s.names)]), "size": len(s.names), "drawn": drawn}


def _log_entry(source: Source, sides: Mapping[str, Side], incomplete: Counter[str]) -> dict[str, Any]:
    log = source.log
    return {
        "log": source.path,
        "sha256": log.sha256,
        "role": source.role,
        "configuration": source.configuration,
        "probes": {side: len(log.units.get(side, {})) for side in sides},
        "left_out": log.left_out,
        "unrecognised_units": log.unrecognised,
        "incomplete_units": incomplete[source.configuration],
        "aggregates": log.aggregates,
    }


def _cell(source: Source, side: str, sides: Mapping[str, Side], rows: Any) -> dict[str, Any]:
    """Return one line of coverage; a metric that another log of the audit has and this one lacks is named."""
    cell = {"configuration": source.configuration, "attack": "none", "dose": 0.0, "side": side}
    here = rows["subject"].isin(sides[side].names)
    elsewhere = set(rows.loc[here, "metric"].unique())
    own = set(rows.loc[here & (rows["configuration"] == source.configuration), "metric"].unique())
    if not own:
        return {
            **cell,
            "state": "failed",
            "reason": "the log has no complete per-sample values for this side",
        }
    lacking = sorted(elsewhere - own)
    return {**cell, "state": "measured", "reason": f"the log lacks {', '.join(lacking)}" if lacking else ""}
