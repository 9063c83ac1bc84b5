"""What exhibits have in common: which configurations they quote and draw, and how bounds read in their tables."""

from __future__ import annotations

import numpy as np

from audit.core.rounding import rounded_down, rounded_up
from audit.evidence.exhibit import Column, Value
from audit.evidence.exhibits.base import Case
from audit.risk.clauses import ClauseBounds, Levels, bound_clause
from audit.risk.table import Clause

MOST_PANELS = 16
MOST_QUOTED = 8
PANEL_TITLE = 30  # characters that fit over a small panel

CONFIGURATION = (Column("No.", "count"), Column("Configuration"))


def names(case: Case) -> tuple[str, ...]:
    """Return the candidates' names, one per row of the tables."""
    return tuple(result.configuration for result in case.results)


def configuration(case: Case, row: int) -> tuple[Value, Value]:
    """Return the number a configuration has in every table and figure, and its label."""
    return row + 1, case.results[row].label


def quoted(case: Case) -> list[int]:
    """Return the rows that people will ask about, in plan order.

    The valid set (of more than 8 those with the smallest CUR); without one, the configuration with the smallest CUR.
    """
    ranked = sorted(range(len(case.results)), key=lambda row: case.results[row].cur)
    valid = [row for row in ranked if case.results[row].in_valid_set]
    return sorted(valid[:MOST_QUOTED] or ranked[:1])


def quoting(case: Case) -> str:
    """Say which configurations ``quoted`` returns."""
    valid = sum(result.in_valid_set for result in case.results)
    if not valid:
        return "No configuration is in the valid set; the one with the smallest CUR is shown."
    if valid > MOST_QUOTED:
        return (
            f"Of {valid} configurations in the valid set the {MOST_QUOTED} with the smallest CUR are shown."
        )
    return (
        "The configuration in the valid set is shown."
        if valid == 1
        else "Configurations in the valid set are shown."
    )


def drawn(case: Case) -> list[int]:
    """Return the rows to draw, at most 16: the valid set and then the smallest CUR, in plan order."""
    ranked = sorted(
        range(len(case.results)), key=lambda row: (not case.results[row].in_valid_set, case.results[row].cur)
    )
    return sorted(ranked[:MOST_PANELS])


def panel(case: Case, row: int) -> str:
    """Return the title of a configuration's panel, cut to what fits."""
    title = f"{row + 1}: {case.results[row].label}"
    return title if len(title) <= PANEL_TITLE else f"{title[: PANEL_TITLE - 1]}…"


def undrawn(case: Case) -> tuple[str, ...]:
    """Say which configurations are not drawn, if any."""
    left = len(case.results) - len(drawn(case))
    return (
        (f"The figure leaves out {left} configurations with the largest CURs; the table has all.",)
        if left
        else ()
    )


def bounds(case: Case, clause: Clause, shown: int, alpha: float | None = None) -> ClauseBounds:
    """Return bounds at delta / (K x ``shown``): for all configurations and everything shown together."""
    level = case.delta / (case.tables.table.family_size * shown)
    budget = case.settings.alpha_forget if alpha is None else alpha
    return bound_clause(clause, budget, Levels(level, level, level))


def numbers(found: ClauseBounds, row: int) -> tuple[Value, Value, Value]:
    """Return estimate, lower and upper bound of a configuration; dashes where it was not measured."""
    if not (found.applicable[row] and found.measured[row]):
        return None, None, None
    return float(found.estimate[row]), float(found.lower[row]), float(found.upper[row])


def counts(found: ClauseBounds, row: int) -> str:
    """Return ``3 of 90``: summed losses of the units opened in this audit; those without a score go with it."""
    if not found.applicable[row]:
        return "not applicable"
    if not found.measured[row]:
        return "not measured"
    missing = f", {found.missing[row]:.0f} without a score" if found.missing[row] else ""
    return f"{found.total[row]:.3g}\u00a0of\u00a0{found.n[row]:.0f}{missing}"


READING = "In the table: share of leaked subjects in %, then [lower, upper bound]."


def interval(estimate: float, lower: float, upper: float) -> str:
    """Return ``2.2 [1.6, 7.5]`` in percent, the ends rounded outwards; a counted share alone; a dash for NaN."""
    if not np.isfinite(estimate):
        return "–"
    told = f"{100 * estimate:.1f}"
    if lower == estimate == upper:
        return told
    return f"{told}\u00a0[{100 * float(rounded_down(lower)):.1f},\u00a0{100 * float(rounded_up(upper)):.1f}]"


def against(found: ClauseBounds, row: int) -> str:
    """Say on which side of its budget a risk was shown to be."""
    if not found.applicable[row]:
        return "–"
    if found.measured[row] and found.upper[row] <= found.alpha:
        return "kept"
    return "exceeded" if np.nan_to_num(found.lower[row]) > found.alpha else "open"


def together(case: Case, what: str = "", *, census: bool = False, lower: bool = True) -> str:
    """Say at which confidence bounds hold; ``what`` names what they are shared over besides the configurations.

    ``lower``: lower bounds are shown too, another statement at the same confidence.
    """
    if census:
        return "Everybody on the list was measured: the numbers are exact."
    size = case.tables.table.family_size
    over = [f"all {size} configurations" if size > 1 else "", what]
    named = " and ".join(part for part in over if part)
    held = f" for {named} together" if named else ""
    also = "; so do lower bounds" if lower else ""
    return f"Upper bounds hold{held} with confidence {sure(case)} over repeated draws of the subjects{also}."


def sure(case: Case) -> str:
    """Return the confidence of the audit as ``95 %``."""
    return percent(1 - case.delta)


def percent(share: float) -> str:
    """Return a budget or a confidence without needless digits."""
    return f"{100 * share:.6g}\u00a0%"
