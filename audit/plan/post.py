"""Whether post-calibrations find the tune subjects that they look at, before anything is trained."""

from __future__ import annotations

from audit.core.errors import AuditError
from audit.methods.compose import parse_recipe
from audit.plan.schema import Given, Plan
from audit.plan.sizes import ResolvedSizes


def check_post(plan: Plan, sizes: ResolvedSizes) -> None:
    """Raise E252 for a post-calibration that looks at tune subjects of a side for which the plan deals none."""
    for item in plan.candidates:
        post = None if isinstance(item, Given) else parse_recipe(item).post
        if post is None:
            continue
        for side in sorted(post.needs):
            if not sizes.side(side)["tune"]:
                raise AuditError(
                    "E252",
                    f"{post.name} looks at {side} subjects of the tune split, the plan deals none",
                    f"set `sizes: {{{side}: {{tune: N}}}}`, or use > path(strength), which looks at nothing",
                )
