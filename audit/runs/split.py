"""The split: tune and twins from the lock, calibrate and sealed from the lock and the checkpoints' digests.

Nobody who trained a candidate can have known which subjects would be opened, because the draw needs the digests
of the finished weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from audit.core.errors import AuditError
from audit.data.splits import deal
from audit.measurements.table import OPENED_BEFORE
from audit.runs.eligibility import Eligibility
from audit.runs.world import World


@dataclass(frozen=True)
class Unit:
    """One row of ``units``."""

    subject: str
    side: str
    split: str
    order: int
    auditable: bool
    group: str = ""

    def is_scored(self, *, tune: bool) -> bool:
        """Whether candidates are measured on it: opened now or by an earlier audit, or for tuning if ``tune``."""
        if self.split == "calibrate" or self.group == OPENED_BEFORE:
            return True
        return tune and self.split == "tune" and self.auditable


def tune_subjects(world: World, side: str) -> set[str]:
    """Return the subjects that may be looked at before the checkpoints are frozen."""
    return {u for u, (split, _) in _tune_deal(world, side).items() if split == "tune"}


def draw(
    world: World, eligibility: Eligibility, checkpoints: list[str], opened: dict[str, set[str]]
) -> list[Unit]:
    """Deal every subject; ``opened`` holds, per side, units that another audit has already looked at."""
    blind_seed = world.seed("split", *sorted(checkpoints))
    forget = _deal_side(world, "forget", set(eligibility.auditable), opened["forget"], blind_seed)
    retain = _deal_side(world, "retain", set(eligibility.retained), opened["retain"], blind_seed)
    twins = [Unit(u, "twin", split, order, True) for u, (split, order) in _tune_deal(world, "twin").items()]
    return forget + retain + twins


def _deal_side(world: World, side: str, eligible: set[str], opened: set[str], seed: int) -> list[Unit]:
    dealt_first = _tune_deal(world, side)
    tune = {u for u, (split, _) in dealt_first.items() if split == "tune"}
    seen = (opened & set(dealt_first)) - tune
    free = sorted(eligible - tune - seen)
    planned = world.sizes.side(side)["calibrate"]
    if len(free) < planned:
        raise AuditError(
            "E506" if seen else "E411",
            f"{len(free)} {side} subjects are left to open, the plan opens {planned} ({len(seen)} were opened before)",
            "lower `sizes`, or audit with subjects that no earlier audit has opened",
        )
    dealt = deal(free, {"calibrate": planned, "sealed": len(free) - planned}, seed)
    units = [Unit(u, side, split, order, True) for u, (split, order) in sorted(dealt.items())]
    rest = sorted(set(dealt_first) - set(free))
    return units + [_outside(u, side, i, tune, seen, eligible) for i, u in enumerate(rest)]


def _outside(
    subject: str, side: str, number: int, tune: set[str], seen: set[str], eligible: set[str]
) -> Unit:
    """Return a unit that is not dealt: looked at before, or not auditable.

    Those that another audit opened are measured and counted exactly, never bounded. Not auditable ones are scored
    beside the others: a secret of theirs that comes out vetoes PASS.
    """
    split = "tune" if subject in tune or subject in seen else "calibrate"
    group = OPENED_BEFORE if subject in seen else ""
    return Unit(subject, side, split, 10**6 + number, subject in eligible, group)


def _tune_deal(world: World, side: str) -> dict[str, tuple[str, int]]:
    subjects = [s.subject for s in world.corpus.side(side)]  # type: ignore[arg-type]
    sizes = dict(world.sizes.side(side))
    first = {"tune": sizes.pop("tune")}
    other = "threshold" if side == "twin" else "calibrate"
    return deal(subjects, {**first, other: len(subjects) - first["tune"]}, world.seed("tune", side))
