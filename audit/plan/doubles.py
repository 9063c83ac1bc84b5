"""What a plan names twice: it would be locked, measured and paid for twice."""

from __future__ import annotations

from collections.abc import Sequence

from audit.core.errors import AuditError
from audit.methods.compose import parse_recipe
from audit.plan.schema import Given, Plan


def check_doubles(plan: Plan) -> None:
    """Raise E113 for candidates, primary losses or vetoes that stand in the plan twice.

    Two directories that hold the same weights are told apart by the lock, which reads them.
    """
    refuse_doubles(
        "candidates",
        [str(i.given) if isinstance(i, Given) else str(parse_recipe(i)) for i in plan.candidates],
        [i.given.name if isinstance(i, Given) else parse_recipe(i).short for i in plan.candidates],
    )
    refuse_doubles("primary losses", plan.loss.primary, plan.loss.primary)
    refuse_doubles("vetoes", plan.loss.vetoes, plan.loss.vetoes)


def refuse_doubles(what: str, keys: Sequence[str], shown: Sequence[str]) -> None:
    """Raise E113 where ``keys`` repeat; the first that does is named as in ``shown``."""
    repeated = [name for number, name in enumerate(shown) if keys[number] in keys[:number]]
    if repeated:
        cause = f"{len(repeated)} of {len(keys)} {what} stand in the plan twice, the first is {repeated[0]}"
        raise AuditError("E113", cause, "remove the doubles")
