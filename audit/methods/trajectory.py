"""Which trainings a list of recipes needs: those that differ only in where they stop, or in what follows, share one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from audit.methods.compose import Recipe


@dataclass(frozen=True)
class Training:
    """One run of the step loop, or one edit; ``checkpoints`` are the steps after which its weights are wanted."""

    recipe: Recipe  # without ``at`` and post-calibration
    checkpoints: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether only the weights at its end are wanted."""
        return self.checkpoints == (self.recipe.budget.steps,)

    @property
    def steps(self) -> int:
        """Steps it takes: it ends at its last checkpoint."""
        return max(self.checkpoints)


def trainings(recipes: Iterable[Recipe]) -> dict[str, Training]:
    """Return canonical text of the training -> training, in order of appearance."""
    wanted: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        wanted.setdefault(str(recipe.training), []).append(recipe)
    return {
        text: Training(group[0].training, tuple(sorted({recipe.taken for recipe in group})))
        for text, group in wanted.items()
    }
