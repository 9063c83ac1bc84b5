"""How many subjects go to which split."""

from __future__ import annotations

from dataclasses import dataclass

from audit.core.errors import AuditError
from audit.plan.schema import Plan

SideSizes = dict[str, int]

LABORATORY_SIZES: dict[str, dict[str, SideSizes]] = {
    "tiny": {
        "forget": {"tune": 0, "calibrate": 30, "sealed": 10},
        "retain": {"tune": 0, "calibrate": 30, "sealed": 10},
        "twin": {"tune": 0, "threshold": 0},
    },
    "lab": {
        "forget": {"tune": 30, "calibrate": 90, "sealed": 30},
        "retain": {"tune": 40, "calibrate": 120, "sealed": 40},
        "twin": {"tune": 40, "threshold": 200},
    },
    "smollm2": {
        "forget": {"tune": 0, "calibrate": 45, "sealed": 15},
        "retain": {"tune": 0, "calibrate": 60, "sealed": 20},
        "twin": {"tune": 0, "threshold": 0},
    },
}
LABORATORY_SIZES["large"] = LABORATORY_SIZES["lab"]


@dataclass(frozen=True)
class ResolvedSizes:
    """Subjects per side and split, all decided."""

    forget: SideSizes
    retain: SideSizes
    twin: SideSizes

    @classmethod
    def of(cls, plan: Plan, defaults: dict[str, SideSizes]) -> ResolvedSizes:
        """Take the plan's numbers where it gives them, ``defaults`` elsewhere."""
        given = {
            "forget": plan.sizes.forget.model_dump(),
            "retain": plan.sizes.retain.model_dump(),
            "twin": plan.sizes.twins.model_dump(),
        }
        chosen = {
            side: {
                split: default if given[side][split] is None else given[side][split]
                for split, default in splits.items()
            }
            for side, splits in defaults.items()
        }
        return cls(chosen["forget"], chosen["retain"], chosen["twin"])

    @classmethod
    def for_counts(cls, plan: Plan, *, forget: int, retain: int, twins: int) -> ResolvedSizes:
        """Resolve against what the user's files hold; E108 when the plan asks for more."""
        resolved = cls.of(
            plan, {"forget": _fifths(forget), "retain": _fifths(retain), "twin": _sixths(twins)}
        )
        for side, held in (("forget", forget), ("retain", retain), ("twin", twins)):
            if resolved.total(side) > held:
                raise AuditError(
                    "E108",
                    f"the plan deals {resolved.total(side)} {side} subjects, the data holds {held}",
                    "lower `sizes`",
                )
        return resolved

    def side(self, side: str) -> SideSizes:
        """Return split -> count of one side."""
        return {"forget": self.forget, "retain": self.retain, "twin": self.twin}[side]

    def total(self, side: str) -> int:
        """Return the number of subjects of one side."""
        return sum(self.side(side).values())


def _fifths(count: int) -> SideSizes:
    outer = count // 5
    return {"tune": outer, "calibrate": count - 2 * outer, "sealed": outer}


def _sixths(count: int) -> SideSizes:
    return {"tune": count // 6, "threshold": count - count // 6}


def sizes_of(plan: Plan, *, forget: int, retain: int, twins: int) -> ResolvedSizes:
    """Return the sizes of any plan, given how many subjects its corpus holds."""
    if plan.laboratory is not None:
        return ResolvedSizes.of(plan, LABORATORY_SIZES[plan.laboratory.subject])
    return ResolvedSizes.for_counts(plan, forget=forget, retain=retain, twins=twins)
