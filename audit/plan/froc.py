"""What FROC's scores need of an audit: soft margins per unit as clauses, and averages over the unattacked model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.core.errors import AuditError
from audit.plan.assemble import Assembly
from audit.risk import froc
from audit.risk.froc import EQUAL, Weights
from audit.risk.losses import unit_scores
from audit.risk.table import Clause

LOSS, ACCURACY = "nll", "exact_memorization"
"""The metrics that stand for FROC's likelihood loss and accuracy."""


@dataclass(frozen=True, eq=False)
class Averages:
    """Published e_R of every candidate (C,), NaN where not measured, and the number of units behind it."""

    e_r: np.ndarray
    units: int


def weights_of(assembly: Assembly) -> Weights:
    """Return the weights of e_R that the lock fixed; one half each where it names none. E450 if unusable."""
    named = assembly.header["lock"].get("risk_weights")
    try:
        return EQUAL if named is None else Weights(**named)
    except (TypeError, ValueError) as error:
        raise AuditError("E450", f"the lock's risk_weights cannot be used: {error}", "lock again") from None


def forget_margins(assembly: Assembly) -> tuple[Clause, ...]:
    """Return the soft margins of forgetting of all candidates, one clause per attack; none without `retrained`."""
    tables = assembly.secondary(assembly.candidates)
    pairs = zip(tables.promises, tables.table.clauses, strict=True)
    return tuple(clause for promise, clause in pairs if promise.loss == "froc")


def utility_margins(assembly: Assembly) -> Clause | None:
    """Return the soft margins of utility against `original`, unattacked; None where they were not measured."""
    if "original" not in assembly.references:
        return None
    opened, seen = assembly.opened("retain"), assembly.seen("retain")
    values, asked = _values(assembly, opened + seen)
    reference = assembly.cube.configurations.index(assembly.references["original"])
    reference_nll, reference_accuracy = values[:, reference]
    margins = np.array(
        [
            froc.utility_margin(nll, accuracy, reference_nll, reference_accuracy, asked)
            for nll, accuracy in zip(*values[:, _rows(assembly)], strict=True)
        ]
    )
    if not margins.size or np.isnan(margins).all():
        return None
    now, before = margins[:, : len(opened)], margins[:, len(opened) :]
    return Clause(
        name="utility margin",
        side="utility",
        losses=now,
        population=assembly.population("retain"),
        seen_units=len(seen),
        seen_totals=np.nan_to_num(before, nan=1.0).sum(axis=1) if seen else None,
        seen_missing=np.isnan(before).sum(axis=1) if seen else None,
        measured=np.any(~np.isnan(margins), axis=1),
        fixed=assembly.header["losses"] == "fixed",
        binary=False,
    )


def averages(assembly: Assembly) -> Averages | None:
    """Return the published e_R from averages over opened units; its target is the score of `retrained`.

    None without `retrained` or without the two metrics on both sides.
    """
    if "retrained" not in assembly.references or not assembly.candidates:
        return None
    sides = [_means(assembly, side) for side in ("forget", "retain")]
    rows = _rows(assembly)
    reference = assembly.cube.configurations.index(assembly.references["retrained"])
    (lost, recalled), (kept, right) = sides
    if any(np.isnan(part[[*rows]]).all() for part in (lost, recalled, kept, right)):
        return None
    if np.isnan(lost[reference] + recalled[reference]):
        return None
    best = np.nanmax(recalled[rows])
    target = float(np.log(lost[reference]) + best - recalled[reference])
    s, r = froc.forgetting_score(lost[rows], recalled[rows]), froc.utility_score(kept[rows], right[rows])
    units = min(len(assembly.opened(side)) for side in ("forget", "retain"))
    return Averages(froc.published_risk(s, r, target, weights_of(assembly)), units)


def _means(assembly: Assembly, side: str) -> np.ndarray:
    """Return (2, C) loss and accuracy of every configuration, averaged over probes, then over units."""
    values, asked = _values(assembly, assembly.opened(side))
    per_unit = np.array([[unit_scores(probes, asked) for probes in metric] for metric in values])
    return per_unit.mean(axis=2) if per_unit.shape[2] else np.full(per_unit.shape[:2], np.nan)


def _values(assembly: Assembly, subjects: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (2, C, n, P) loss and accuracy without an attack, and (n, P) which probes there are."""
    cube, units = assembly.cube, assembly.cube.rows_of(subjects)
    at = cube.cells.index(("none", 0.0))
    return np.stack([cube.values(name)[:, at][:, units] for name in (LOSS, ACCURACY)]), cube.exists[units]


def _rows(assembly: Assembly) -> list[int]:
    return [assembly.cube.configurations.index(name) for name in assembly.candidates]
