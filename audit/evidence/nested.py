"""Nested attackers of an audit, with bounds that hold for all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.evidence import looks
from audit.evidence.exhibits.base import Case
from audit.plan import attackers
from audit.plan.attackers import Attacker
from audit.risk.attackers import nested_lowers, nested_uppers


@dataclass(frozen=True, eq=False)
class Steps:
    """Estimates and bounds, each (attackers, configurations), never falling; NaN where not measured."""

    estimate: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    census: bool

    def of(self, row: int) -> list[str]:
        """Return ``2.2 [1.6, 7.5]`` (percent) of one configuration for each attacker."""
        columns = zip(self.estimate[:, row], self.lower[:, row], self.upper[:, row], strict=True)
        return [looks.interval(*map(float, column)) for column in columns]


def steps(case: Case, loss: str, found: Sequence[Attacker], shown: int) -> Steps:
    """Return the risks of nested attackers, weakest first, with bounds at delta / (K x ``shown``)."""
    names = looks.names(case)
    told = [
        looks.bounds(case, attackers.clause(case.assembly, loss, attacker, names), shown)
        for attacker in found
    ]
    return Steps(
        estimate=np.stack([bound.estimate for bound in told]),
        lower=nested_lowers(np.stack([bound.lower for bound in told])),
        upper=nested_uppers(np.stack([bound.upper for bound in told])),
        census=all(bound.census for bound in told),
    )
