"""The header of measurements read from plain tables: lists, metrics, configurations, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit.core.digest import digest_file, digest_json
from audit.measurements.importers import fields
from audit.measurements.importers.base import Request
from audit.measurements.importers.sides import is_sampled
from audit.measurements.table import ROLES, SCHEMA_VERSION


def header_of(
    frame: Any, kept: Any, units: Any, request: Request, *, importer: str, folder: Path, paths: Sequence[Path]
) -> dict[str, Any]:
    """Return the header; ``frame`` holds every row read, ``kept`` those of complete units that were opened."""
    digests = {path.relative_to(folder).as_posix(): digest_file(path) for path in paths}
    lock = {
        "kind": "import",
        "importer": importer,
        "seed": request.seed,
        "sample": request.sample,
        "logs": sorted(digests.values()),
    }
    metrics = sorted(frame["metric"].unique())
    roles = frame.drop_duplicates("configuration").set_index("configuration")["role"]
    names = sorted(roles.index, key=lambda name: (ROLES.index(roles[name]), name))
    return {
        "schema_version": SCHEMA_VERSION,
        "audit_id": f"table {folder.resolve().name}",
        "lock": lock,
        "lock_digest": digest_json(lock),
        "lists": {side: _list(frame, side, request) for side in units["side"].unique()},
        "metrics": [fields.record(metric) for metric in metrics],
        "configurations": [
            {"configuration": n, "role": roles[n], "checkpoint": "", "recipe": n, "status": "imported"}
            for n in names
        ],
        # Nobody knows whether another tool would draw the same answers again (STATISTICS §3).
        "losses": "random" if (frame["draw"] > 0).any() else "fixed",
        "coverage": _coverage(frame, kept, names),
        "import": {
            "importer": importer,
            "benchmark": "table",
            "base": folder.resolve().name,
            "forget_list": "forget",
            "logs": [_log(path, digest, frame, roles) for path, digest in digests.items()],
            "assumed_direction": [metric for metric in metrics if not fields.is_known(metric)],
        },
    }


def _list(frame: Any, side: str, request: Request) -> dict[str, Any]:
    names = sorted(frame.loc[frame["side"] == side, "subject"].unique())
    drawn = "lock+logs" if is_sampled(side, len(names), request) else "census"
    return {"name": side, "digest": digest_json([side, names]), "size": len(names), "drawn": drawn}


def _log(path: str, digest: str, frame: Any, roles: Any) -> dict[str, Any]:
    return {"log": path, "sha256": digest, "role": ", ".join(sorted(set(roles))), "rows": len(frame)}


def _coverage(frame: Any, kept: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one line per configuration and cell that any of them has; what one of them lacks has failed.

    A metric that another configuration has in a cell and this one lacks is named.
    """
    cells = frame[["attack", "dose", "side"]].drop_duplicates().sort_values(["attack", "dose", "side"])
    return [
        {
            "configuration": name,
            "attack": attack,
            "dose": float(dose),
            "side": side,
            **_state(kept, name, attack, dose, side),
        }
        for name in names
        for attack, dose, side in cells.itertuples(index=False)
    ]


def _state(kept: Any, name: str, attack: str, dose: float, side: str) -> dict[str, str]:
    cell = kept[(kept["attack"] == attack) & (kept["dose"] == dose) & (kept["side"] == side)]
    own = set(cell.loc[cell["configuration"] == name, "metric"])
    if not own:
        return {"state": "failed", "reason": "the tables have no complete unit in this cell"}
    lacking = sorted(set(cell["metric"]) - own)
    return {"state": "measured", "reason": f"the tables lack {', '.join(lacking)}" if lacking else ""}
