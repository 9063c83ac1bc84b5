"""In which order candidates are tested: decided when the plan is locked, learned on tune units if at all.

A procedure that walks along an order spends nearly all of delta on whoever comes first. That is only honest
when the order is fixed before the units it is tested on are opened, or made from other units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.core.errors import AuditError
from audit.plan.schema import Plan
from audit.plan.settings import Settings
from audit.plan.sizes import ResolvedSizes
from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.orders import pareto_order
from audit.risk.table import LossTable


@dataclass(frozen=True)
class Ordering:
    """What the lock records. ``order``: ``tune``, ``plan``, or None for a family that needs no order.

    ``score_tune``: whether candidates are scored on tune units, under every attack.
    """

    order: str | None
    score_tune: bool


def resolve(plan: Plan, sizes: ResolvedSizes) -> Ordering:
    """Decide what the plan leaves open; raises E430 to E433, E469 where its parts do not fit together."""
    needed = PROCEDURES.build(plan.family).ordered
    if plan.order is not None and not needed:
        raise AuditError(
            "E430", f"the family {plan.family} takes no order", "drop `order`, or choose an ordered family"
        )
    _refuse_misfit(plan)
    has_tune = min(sizes.forget["tune"], sizes.retain["tune"]) > 0
    order = (
        (plan.order or ("tune" if has_tune and plan.score_tune is not False else "plan")) if needed else None
    )
    if order == "tune" and not has_tune:
        raise AuditError(
            "E431",
            f"`order: tune` needs tune subjects on both sides, the plan deals {sizes.forget['tune']} forget and "
            f"{sizes.retain['tune']} retain",
            "set `sizes`, or write `order: plan`",
        )
    if order == "tune" and plan.score_tune is False:
        raise AuditError(
            "E432", "`order: tune` needs the scores that `score_tune: false` forgoes", "drop one of both"
        )
    if order == "tune" and plan.futility:
        raise AuditError(
            "E469",
            "`futility` leaves tune subjects unscored wherever calibrate subjects have shown enough, so that the order"
            " would depend on these",
            "drop `futility`, or write `order: plan`",
        )
    return Ordering(order, order == "tune" if plan.score_tune is None else plan.score_tune)


def _refuse_misfit(plan: Plan) -> None:
    """Raise E433 for a procedure that cannot take this number of candidates (a graph with other places)."""
    count = len(plan.candidates)
    try:
        PROCEDURES.build(plan.family).reject(np.ones(count), plan.delta, count, range(count))
    except ValueError as error:
        raise AuditError(
            "E433", f"the family does not fit {count} candidates: {error}", "give each candidate its place"
        ) from None


def first_level(plan: Plan) -> float:
    """Return the largest p-value with which the first candidate is certified while all others fail.

    delta / K for Holm and Bonferroni, delta for a fixed sequence: what planning may count on.
    """
    procedure, count = PROCEDURES.build(plan.family), len(plan.candidates)
    low, high = 0.0, 1.0
    for _ in range(60):
        p_values = np.ones(count)
        p_values[0] = (low + high) / 2
        rejected = procedure.reject(p_values, plan.delta, count, range(count))[0]
        low, high = (p_values[0], high) if rejected else (low, p_values[0])
    return float(low)


def places(tuned: LossTable, settings: Settings) -> tuple[int, ...]:
    """Return the rows of a table of tune losses, first tested first; E434 where nothing of them was measured."""
    for clause in tuned.clauses:
        asked = clause.losses[clause.counts()]
        if not clause.units or (len(asked) and bool(np.isnan(asked).all())):
            raise AuditError(
                "E434",
                f"the order is to be learned on tune subjects, but {clause.name} was measured on none of "
                f"{clause.units}",
                "measure with `score_tune`, or lock `order: plan`",
            )
    return pareto_order(tuned, settings.alpha_forget, settings.alpha_utility)


def rows_of(order: tuple[str, ...], names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the rows of a table of ``names``, first tested first; references stand outside, at its end."""
    place = {name: number for number, name in enumerate(order)}
    return tuple(sorted(range(len(names)), key=lambda row: place.get(names[row], len(place))))
