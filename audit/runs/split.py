"""The split: tune and twins from the lock, calibrate and sealed from the lock and the checkpoints' digests.

Nobody who trained a candidate can have known which subjects would be opened, because the draw needs the digests
of the finished weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from audit.core.errors import AuditError
from audit.data.splits import deal
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
    tune = _tune_deal(world, side)
    seen = {u for u, (split, _) in tune.items() if split == "tune"} | (opened & set(tune))
    free = sorted(eligible - seen)
    planned = world.sizes.side(side)["calibrate"]
    if len(free) < planned:
        code = "E506" if opened else "E411"
        cause = f"{len(free)} {side} subjects are left to open, the plan opens {planned} ({len(opened)} were opened before)"
        raise AuditError(
            code, cause, "lower `sizes`, or audit with subjects that no earlier audit has opened"
        )
    dealt = deal(free, {"calibrate": planned, "sealed": len(free) - planned}, seed)
    rest = sorted(set(tune) - set(free))
    units = [Unit(u, side, split, order, True) for u, (split, order) in sorted(dealt.items())]
    # Not auditable ones are scored beside the others: a secret of theirs that comes out vetoes PASS.
    units += [
        Unit(u, side, "tune" if u in seen else "calibrate", 10**6 + i, u in eligible)
        for i, u in enumerate(rest)
    ]
    return units


def _tune_deal(world: World, side: str) -> dict[str, tuple[str, int]]:
    subjects = [s.subject for s in world.corpus.side(side)]  # type: ignore[arg-type]
    sizes = dict(world.sizes.side(side))
    first = {"tune": sizes.pop("tune")}
    other = "threshold" if side == "twin" else "calibrate"
    return deal(subjects, {**first, other: len(subjects) - first["tune"]}, world.seed("tune", side))
