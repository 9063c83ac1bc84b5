"""The same units under every bound: how many are needed, how many may fail, how often a good one is certified.

Choosing a bound by this table is free as long as no calibration loss was seen; afterwards it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit.risk import power
from audit.risk.catalogue import covering
from audit.risk.power import SampleDesign

FAILURES = (0, 1, 2)


@dataclass(frozen=True)
class BoundPower:
    """What one bound can prove with the units of a design.

    Attributes
    ----------
    bound: its registered name.
    units_needed: smallest n that certifies with 0, 1 and 2 failures; None where the list has too few, or where the
        answer depends on which unit fails or by how much.
    failures_allowed: of the n planned units; None if not even 0, or where counts do not decide.
    smallest_certifiable_share: its upper bound when no unit loses anything.
    certified: probability that a clause is certified at each stated true risk.
    simulated: whether ``certified`` was simulated; exact otherwise.

    """

    bound: str
    units_needed: tuple[int | None, ...]
    failures_allowed: int | None
    smallest_certifiable_share: float
    certified: tuple[float, ...]
    simulated: bool


def compare(
    design: SampleDesign,
    true_risks: Sequence[float],
    *,
    law: Callable[[float], np.ndarray] = power.diffuse,
    replications: int = 400,
) -> list[BoundPower]:
    """Return one row per registered bound whose theorem covers ``design``, the most powerful first.

    ``law`` gives the losses of graded designs at a stated mean; 0/1 losses need none. Ties go to the bound that
    needs fewer units without a failure, then to the smaller bound.
    """
    names = covering(design.kind, binary=not design.graded)
    rows = [_row(replace(design, bound=name), true_risks, law, replications) for name in names]
    return sorted(rows, key=_weakness)


def _row(
    design: SampleDesign, true_risks: Sequence[float], law: Callable[[float], np.ndarray], replications: int
) -> BoundPower:
    counted = design.countable
    return BoundPower(
        bound=design.bound,
        units_needed=tuple(
            power.units_needed(design, failures) if counted or not failures else None for failures in FAILURES
        ),
        failures_allowed=power.allowed_failures(design) if counted else None,
        smallest_certifiable_share=power.smallest_certifiable_risk(design),
        certified=tuple(_certified(design, risk, law, replications) for risk in true_risks),
        simulated=not counted,
    )


def _certified(
    design: SampleDesign, true_risk: float, law: Callable[[float], np.ndarray], replications: int
) -> float:
    if design.countable:
        return power.certification_probability(design, true_risk)
    losses = law(true_risk) if design.graded else power.concentrated(true_risk)
    return power.simulated_certification(design, losses, replications=replications)


def _weakness(row: BoundPower) -> tuple[float, float, float, str]:
    needed = row.units_needed[0]
    return (
        -sum(row.certified),
        float("inf") if needed is None else needed,
        row.smallest_certifiable_share,
        row.bound,
    )
