"""What the sealed units say, together with those opened before, about the one configuration named for them."""

from __future__ import annotations

from audit.evidence.certificate import Confirmation
from audit.plan.assemble import Assembly
from audit.risk.clauses import ClauseBounds, Levels, bound_clause

EVERYBODY = ("calibrate", "sealed")


def confirm(assembly: Assembly, name: str) -> Confirmation | None:
    """Return the confirmation of configuration ``name``; None unless the seal was broken for it.

    A census needs no level. Where bounds remain they are simultaneous over the family: the configuration was chosen
    on the calibrate units, which stand among those that are bounded.
    """
    if assembly.header.get("confirmed", {}).get("configuration") != name:
        return None
    tables, settings = assembly.deciding((name,), EVERYBODY), assembly.settings
    level = settings.delta / tables.table.family_size
    bounds = [
        bound_clause(c, settings.alpha_forget, Levels(level, level, level)) for c in tables.table.clauses
    ]
    pairs = list(zip(tables.promises, bounds, strict=True))
    promise, worst = max(
        ((p, b) for p, b in pairs if p.side == "forget" and b.applicable[0]),
        key=lambda pair: pair[1].upper[0],
    )
    utility = next(b for p, b in pairs if p.side == "retain")
    return Confirmation(
        attack=promise.attack,
        dose=promise.dose,
        failures=_counted(worst),
        population=int(worst.population or worst.n[0]),
        sealed_units=len(assembly.opened("forget", ("sealed",))),
        upper=float(worst.upper[0]),
        exact=bool(worst.census and not worst.missing[0]),
        utility=float(utility.upper[0]),
        utility_population=int(utility.population or utility.n[0]),
    )


def _counted(bound: ClauseBounds) -> float:
    """Return the failures a census counts on the whole list, those of units opened by earlier audits included."""
    if not bound.census or not bound.population:
        return float(bound.total[0])
    return round(float(bound.upper[0]) * bound.population, 9)
