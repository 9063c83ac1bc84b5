"""Controls: an audit that cannot tell knowing from not knowing must say so (STATISTICS §5).

``original`` must FAIL without an attack; ``retrained`` must not FAIL under any. Both at delta_c = 0.001, shared over
attacks, outside the family. Where a control was not measured it is printed as missing, never assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.core.rounding import rounded_down
from audit.evidence.certificate import ControlResult
from audit.plan.assemble import Assembly, Promise, Tables
from audit.risk.clauses import ClauseBounds, Levels, bound_clause

DELTA_CONTROLS = 0.001
_NEVER_TRAINED = "must not FAIL under any attack"
_NO_LOSS = "no loss that a control can be read from (recovered or above_twins)"


@dataclass(frozen=True)
class Controls:
    """``results`` for the certificate; ``informative`` maps (attack, dose) to whether the original fails there."""

    results: tuple[ControlResult, ...]
    missing: tuple[str, ...]
    informative: dict[tuple[str, float], bool]

    @property
    def violated(self) -> bool:
        """Whether some control misbehaved."""
        return any(item.outcome == "violated" for item in self.results)


def check(assembly: Assembly) -> Controls:
    """Test both controls on the forgetting clauses with ``recovered`` or ``above_twins``."""
    original, informative = _original(assembly)
    never_trained = _retrained(assembly) if "retrained" in assembly.references else _twins(assembly)
    results = [original, never_trained]
    missing = tuple(item.name for item in results if item.outcome == "not measured")
    return Controls(tuple(results), missing, informative)


def _original(assembly: Assembly) -> tuple[ControlResult, dict[tuple[str, float], bool]]:
    expectation = "must FAIL without an attack"
    if "original" not in assembly.references:
        return ControlResult(
            "original", expectation, "not measured", "no original among the configurations"
        ), {}
    bounds = _bounds(assembly, assembly.references["original"])
    if not bounds:
        return ControlResult("original", expectation, "not measured", _NO_LOSS), {}
    informative: dict[tuple[str, float], bool] = {}
    for promise, clause in bounds:
        cell = (promise.attack, promise.dose)
        informative[cell] = informative.get(cell, False) or bool(clause.fails[0])
    plain = [(p, c) for p, c in bounds if p.attack == "none"]
    if not plain:
        return ControlResult(
            "original", expectation, "not measured", "the unattacked original was not scored"
        ), informative
    promise, clause = max(plain, key=lambda pair: pair[1].lower_failing[0])
    outcome = "as expected" if informative["none", 0.0] else "violated"
    return ControlResult("original", expectation, outcome, _counts(clause, promise.loss)), informative


def _retrained(assembly: Assembly) -> ControlResult:
    return _must_not_fail("retrained", _bounds(assembly, assembly.references["retrained"]))


def _twins(assembly: Assembly) -> ControlResult:
    """Put twins, whom no model was trained on, in the units' place on the original."""
    name = "retrained"
    if "original" not in assembly.references or not assembly.count("twin"):
        missing = "neither a model trained without the forget list, nor twins"
        return ControlResult(name, _NEVER_TRAINED, "not measured", missing)
    tables = assembly.twin_clauses(assembly.references["original"])
    return _must_not_fail("twins", _tested(assembly, tables))


def _must_not_fail(name: str, bounds: list[tuple[Promise, ClauseBounds]]) -> ControlResult:
    if not bounds:
        return ControlResult(name, _NEVER_TRAINED, "not measured", _NO_LOSS)
    promise, clause = max(bounds, key=lambda pair: pair[1].lower_failing[0])
    outcome = "violated" if any(clause.fails[0] for _, clause in bounds) else "as expected"
    detail = f"worst under {promise.attack}: {_counts(clause, promise.loss)}"
    return ControlResult(name, _NEVER_TRAINED, outcome, detail)


def _bounds(assembly: Assembly, name: str) -> list[tuple[Promise, ClauseBounds]]:
    """Return the measured forgetting clauses of a reference."""
    return _tested(assembly, assembly.control_clauses(name))


def _tested(assembly: Assembly, tables: Tables) -> list[tuple[Promise, ClauseBounds]]:
    """Bound every measured clause at delta_c over their number."""
    level = DELTA_CONTROLS / max(len(tables.promises), 1)
    levels, alpha = Levels(level, level, level), assembly.settings.alpha_forget
    pairs = zip(tables.promises, tables.table.clauses, strict=True)
    bounds = [(p, bound_clause(c, alpha, levels)) for p, c in pairs]
    return [(p, b) for p, b in bounds if b.measured[0] and b.applicable[0]]


def _counts(clause: ClauseBounds, loss: str) -> str:
    total, units = np.nan_to_num(clause.total[0]), int(clause.n[0])
    return f"{loss} {total:g} of {units}, at least {rounded_down(clause.lower_failing[0])} of the list"
