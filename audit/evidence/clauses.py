"""One clause of a certificate: the numbers of one loss under one attack, and the words when it is broken or open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from audit.core.rounding import rounded_down, rounded_up
from audit.evidence.certificate import ClauseResult
from audit.plan.assemble import Assembly, Promise, Tables
from audit.plan.naming import attack_label
from audit.risk.clauses import ClauseBounds


def results(
    assembly: Assembly, tables: Tables, bounds: tuple[ClauseBounds, ...], row: int, name: str
) -> Iterator[ClauseResult]:
    """Yield the clauses that apply to configuration ``name``, which is ``row`` of the tables."""
    for promise, bound in zip(tables.promises, bounds, strict=True):
        state, reason = assembly.state(name, promise)
        if state != "not_applicable":
            yield _clause(promise, bound, row, state, reason)


def broken(clause: ClauseResult) -> str:
    """Say by how much a clause is broken at least."""
    counted = f"{clause.loss}{_under(clause)}: {clause.total:.4g} of {clause.units}"
    return (
        f"{counted}, so at least {rounded_down(clause.lower_failing)} of the list, budget {clause.budget:g}"
    )


def worst_broken(found: Sequence[ClauseResult]) -> tuple[str, ...]:
    """Say which broken promise is proven by most, of each kind, and how many more there are."""
    worst = {c.loss: c for c in sorted(found, key=lambda c: c.lower)}
    told = tuple(map(broken, worst.values()))
    others = len(found) - len(told)
    return (*told, f"and under {others} more attacks or doses") if others else told


def stopped(told: Sequence[ClauseResult]) -> Iterator[str]:
    """Say after how many subjects a candidate was given up, and what was not measured because of it."""
    left = [c for c in told if c.state == "stopped"]
    if left:
        opened = max(c.units for c in told if c.fails)
        cells = len({(c.attack, c.dose) for c in left if not c.units})
        others = f": {cells} more attacks or doses were not measured" if cells else ""
        yield f"stopped for futility after {opened} subjects{others}, so there is no upper bound"


def undecided(clause: ClauseResult) -> str:
    """Say how large the risk may still be."""
    named = f"{clause.loss}{_under(clause)}"
    return (
        f"{named} may be as high as {rounded_up(clause.upper)}, budget {clause.budget:g}: not enough evidence"
    )


def _under(clause: ClauseResult) -> str:
    return "" if clause.side == "retain" else f" under {attack_label(clause.attack, clause.dose)}"


def _clause(promise: Promise, bound: ClauseBounds, row: int, state: str, reason: str) -> ClauseResult:
    def number(field: str, default: float) -> float:
        value = float(getattr(bound, field)[row])
        return value if np.isfinite(value) else default

    return ClauseResult(
        loss=promise.loss,
        side=promise.side,
        attack=promise.attack,
        dose=promise.dose,
        state=state,
        reason=reason,
        budget=bound.alpha,
        units=int(bound.n[row]),
        population=bound.population,
        total=number("total", 0.0),
        missing=int(bound.missing[row]),
        estimate=number("estimate", 1.0),
        lower=number("lower", 0.0),
        upper=number("upper", 1.0),
        level=bound.level,
        p_value=number("p_value", 1.0),
        bound=bound.bound,
        census=bound.census,
        lower_failing=number("lower_failing", 0.0),
        fails=bool(bound.fails[row]),
    )
