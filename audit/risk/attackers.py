"""Attackers who choose: the worst attack per unit, and nested sets of attacks.

A clause bounds one attack at a time: CUR covers max_a mean_u L_a(u). An attacker who picks the attack for each
person risks mean_u max_a L_a(u), which is larger; it is the mean of one loss per unit, max_a L_a(u) in [0, 1],
so every bound for a single clause holds for it unchanged (0/1 if all parts are). Each attack keeps its own
threshold: a maximum of scores with one joint threshold is another, weaker loss.

Nested attackers (a larger budget contains the smaller) have losses that can only grow, unit by unit. Bounds
that hold together may therefore borrow from each other: an upper bound of a stronger attacker covers every
weaker one, a lower bound of a weaker one every stronger one. This costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.risk.table import Clause


@dataclass(frozen=True, eq=False)
class Part:
    """Per-unit losses of all configurations under one attack (and dose), or under the worst of several.

    Attributes
    ----------
    losses: (C, n) in [0, 1], NaN where a unit has no score.
    measured: (C,) bool, whether the attack was run on the configuration.
    applicable: (C,) bool, whether it has a meaning there; where not, nobody can use it.
    reached: (n,) bool, units the attack can be tried on at all (a person without paraphrases has none).

    """

    losses: np.ndarray
    measured: np.ndarray
    applicable: np.ndarray
    reached: np.ndarray

    def __post_init__(self) -> None:
        rows, units = np.shape(self.losses)
        for name, length in (("measured", rows), ("applicable", rows), ("reached", units)):
            flags = getattr(self, name)
            if flags.shape != (length,) or flags.dtype != bool:
                raise ValueError(f"{name} must be ({length},) bool, got {flags.shape} {flags.dtype}")


def worst_case(parts: Sequence[Part]) -> Part:
    """Return the largest loss of each unit over ``parts``: what an attacker free to choose gets from it.

    A missing score leaves the unit without one (it counts as 1 in upper and 0 in lower bounds later), unless
    another attack gets everything anyway. A configuration on which one applicable attack was not measured is
    not measured.
    """
    if not parts:
        raise ValueError("the worst of no attacks is not defined")
    applicable = np.stack([part.applicable for part in parts])  # (A, C)
    reached = np.stack([part.reached for part in parts])  # (A, n)
    used = applicable[:, :, None] & reached[:, None, :]
    losses = np.stack([part.losses for part in parts])
    known = np.where(used & ~np.isnan(losses), losses, -np.inf).max(axis=0)
    missing = (used & np.isnan(losses)).any(axis=0) | ~used.any(axis=0)
    return Part(
        losses=np.where(missing & (known < 1), np.nan, known),
        measured=np.asarray((np.stack([part.measured for part in parts]) | ~applicable).all(axis=0)),
        applicable=np.asarray(applicable.any(axis=0)),
        reached=np.asarray(reached.any(axis=0)),
    )


def as_clause(
    name: str, part: Part, *, opened: int, population: int | None, fixed: bool, binary: bool
) -> Clause:
    """Return the clause about ``part``, whose first ``opened`` units are this audit's, in its recorded order.

    The others were seen before and are counted exactly; ``population`` is N of the whole list with them.
    """
    chosen = np.where(part.measured[:, None], part.losses, np.nan)
    now, before = chosen[:, :opened], chosen[:, opened:]
    missing = np.isnan(before)
    return Clause(
        name=name,
        side="forget",
        losses=now,
        population=population,
        seen_units=before.shape[1],
        seen_totals=np.where(missing, 1.0, before).sum(axis=1) if before.size else None,
        seen_missing=missing.sum(axis=1) if before.size else None,
        measured=part.measured,
        applicable=part.applicable,
        fixed=fixed,
        binary=binary,
    )


def nested_uppers(uppers: np.ndarray) -> np.ndarray:
    """Return (T, C) upper bounds of nested attackers, weakest first: none above a stronger attacker's.

    ``uppers`` (T, C) must hold together; NaN (not applicable) says nothing about the others and stays.
    """
    filled = np.where(np.isnan(uppers), np.inf, uppers)
    least = np.minimum.accumulate(filled[::-1], axis=0)[::-1]
    return np.where(np.isnan(uppers), np.nan, least)


def nested_lowers(lowers: np.ndarray) -> np.ndarray:
    """Return (T, C) lower bounds of nested attackers, weakest first: none below a weaker attacker's."""
    filled = np.where(np.isnan(lowers), -np.inf, lowers)
    most = np.maximum.accumulate(filled, axis=0)
    return np.where(np.isnan(lowers), np.nan, most)
