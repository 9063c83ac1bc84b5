"""The measurements table: four parts, validated together (``rows units probes header``).

Everything right of it (losses, bounds, certificate) reads nothing else and runs without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit.core.errors import AuditError
from audit.core.lazy import lazy

pd = lazy("pandas")

SCHEMA_VERSION = 1
KEY_COLUMNS = (
    "configuration",  # canonical recipe text, or "original" / "retrained"
    "seed",
    "checkpoint",  # SHA-256 of the weights; "" when an imported log does not say
    "attack",  # canonical constructor text; "none" without an attack
    "dose",  # float in the attack's unit, 0 for "none"
    "fold",  # 0, or the half (1 | 2) of a cross-fitted attack whose members were held out of this model
    "draw",  # index of a repeated sample, 0 otherwise
    "subject",  # keyed pseudonym
    "probe",
    "metric",
)
ROW_COLUMNS = (*KEY_COLUMNS, "value")  # value: float64, never null
UNIT_COLUMNS = ("subject", "side", "list", "split", "order", "half", "auditable", "group")
PROBE_COLUMNS = ("subject", "probe", "kind", "form", "entropy_bits", "answer_tokens")
SIDES = ("forget", "retain", "twin")
SPLITS = ("tune", "calibrate", "sealed", "threshold")
OPENED_BEFORE = "opened before"  # group of units that an earlier audit looked at: counted, never bounded
STATES = ("measured", "failed", "stopped", "not_applicable")
ROLES = ("original", "retrained", "candidate")


@dataclass(frozen=True)
class Measurements:
    """Validated measurements.

    Attributes
    ----------
    rows: data frame with ROW_COLUMNS, one metric value each.
    units: data frame with UNIT_COLUMNS; ``order`` is the one random order of the audit within (side, split),
        ``half`` 1 | 2 (forget side of a cross-fitted attack) or 0, ``auditable`` bool, ``group`` text or "".
    probes: data frame with PROBE_COLUMNS; ``entropy_bits`` and ``answer_tokens`` may be null (unknown).
    header: JSON object with keys ``schema_version audit_id lock lock_digest lists metrics configurations
        losses coverage``:
        ``lists``: side -> {"digest", "size" (N as named), "drawn": "lock+checkpoints" | "lock+logs" |
        "not blind" | "census"};
        ``metrics``: [{"name", "version", "direction": "higher" | "lower" (which means better known),
        "range": [low, high]}];
        ``configurations``: [{"configuration", "role", "checkpoint", "recipe", "status"}];
        ``losses``: "fixed" | "random";
        ``coverage``: [{"configuration", "attack", "dose", "side", "state", "reason"}], where a configuration was given up
        at a look also "subjects": how many of the side's opened subjects, the first of the order, were scored until then.
        Optional: ``unit``: "subject" (default) | "request"; ``probe_generator`` of probes drawn afresh: {"name",
        "digest", "batch" (probes per draw), "draws": "independent" (one row of units is one draw) | "one per subject"}.

    """

    rows: Any
    units: Any
    probes: Any
    header: dict[str, Any]

    def __post_init__(self) -> None:
        validate(self)


def validate(measurements: Measurements) -> None:
    """Raise E120 unless the four parts fit the schema and each other."""
    rows, units, probes, header = (
        measurements.rows,
        measurements.units,
        measurements.probes,
        measurements.header,
    )
    for name, frame, columns in (
        ("rows", rows, ROW_COLUMNS),
        ("units", units, UNIT_COLUMNS),
        ("probes", probes, PROBE_COLUMNS),
    ):
        missing = [column for column in columns if column not in frame.columns]
        if missing:
            raise _broken(f"{name} lacks the columns {', '.join(missing)}")
    _check_header(header)
    _check_rows(rows)
    _refuse_doubles("subjects stand in units", units, ["subject"])
    _refuse_doubles("probes stand in probes", probes, ["subject", "probe"])
    _check_words("side", units["side"], SIDES)
    _check_words("split", units["split"], SPLITS)
    _check_words("state", (cell["state"] for cell in header["coverage"]), STATES)
    _check_words("role", (item["role"] for item in header["configurations"]), ROLES)
    _check_known("subjects", rows["subject"].unique(), "units", units["subject"])
    _check_known("configurations", rows["configuration"].unique(), "header", _names(header, "configuration"))
    _check_known("metrics", rows["metric"].unique(), "header", _names(header, "metric", "name"))
    asked = rows[["subject", "probe"]].drop_duplicates()
    _check_known("probes", _pairs(asked), "probes", _pairs(probes))


def _check_header(header: dict[str, Any]) -> None:
    keys = ("audit_id", "lock", "lock_digest", "lists", "metrics", "configurations", "losses", "coverage")
    absent = [key for key in keys if key not in header]
    if header.get("schema_version") != SCHEMA_VERSION or absent:
        raise _broken(f"header has schema {header.get('schema_version')!r} and lacks {absent or 'nothing'}")


def _check_rows(rows: Any) -> None:
    if len(rows) and not bool(pd.api.types.is_float_dtype(rows["value"])):
        raise _broken(f"value has type {rows['value'].dtype}, expected float64")
    if bool(rows["value"].isna().any()):
        raise _broken(f"{int(rows['value'].isna().sum())} values are null; leave unmeasured rows out")
    _refuse_doubles("rows repeat a key and stand", rows, list(KEY_COLUMNS))


def _refuse_doubles(what: str, frame: Any, columns: list[str]) -> None:
    doubled = frame.duplicated(columns)
    if bool(doubled.any()):
        raise _broken(f"{int(doubled.sum())} {what} twice")


def _check_known(what: str, found: Any, where: str, known: Any) -> None:
    strangers = set(found) - set(known)
    if strangers:
        raise _broken(f"{len(strangers)} {what} of rows are not in {where}")


def _names(header: dict[str, Any], part: str, key: str = "") -> list[str]:
    return [item[key or part] for item in header[f"{part}s"]]


def _pairs(frame: Any) -> Any:
    return zip(frame["subject"], frame["probe"], strict=True)


def _check_words(what: str, found: Any, allowed: tuple[str, ...]) -> None:
    odd = sorted(set(found) - set(allowed))
    if odd:
        raise _broken(f"{what} holds {odd[:3]}, allowed: {', '.join(allowed)}")


def _broken(cause: str) -> AuditError:
    return AuditError("E120", f"the measurements are not valid: {cause}", "measure or import again")
