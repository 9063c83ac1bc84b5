"""From the recipes of a lock to frozen checkpoints.

Recipes that differ only in where the training stops, or in what follows it, share one training: its seed is named by
the recipe without both, so the weights are those that each would get alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from audit.methods.compose import Recipe, parse_recipe
from audit.methods.trajectory import trainings
from audit.plan.schema import Given
from audit.runs.collect import Configured
from audit.runs.job import Job, Jobs
from audit.runs.specs import post_job, training_job
from audit.runs.world import World

Failure = dict[str, Any]


@dataclass(frozen=True)
class Weights:
    """A checkpoint's digest, or why there is none."""

    digest: str = ""
    failure: Failure | None = None


@dataclass(frozen=True)
class Workshop:
    """Makes the candidates of one run; ``stage`` does jobs and returns when each is done or failed."""

    world: World
    jobs: Jobs
    numeric: dict[str, str]
    stage: Callable[[str, list[Job]], None]

    def make(self, original: str) -> list[Configured]:
        """Return every candidate, in plan order; ``original`` is the digest of the model before unlearning."""
        lock = self.world.lock
        start = lock.content["weights"].get("model", original)
        named = list(zip(lock.configurations, lock.plan.candidates, strict=True))
        recipes = {text: parse_recipe(text) for text, item in named if not isinstance(item, Given)}
        made = self._finished(recipes, self._trained(recipes, start), start)
        for text, item in named:
            if isinstance(item, Given):
                digest = text.removeprefix("given(").removesuffix(")")
                self.world.store_checkpoint(digest, item.given, base=original)
                made[text] = Weights(digest)
        return [Configured(t, "candidate", made[t].digest, (), made[t].failure) for t, _ in named]

    def _trained(self, recipes: dict[str, Recipe], start: str) -> dict[str, Weights]:
        """Return recipe -> weights before its post-calibration."""
        planned = trainings(recipes.values())
        jobs = {text: training_job(self.world, one, start, self.numeric) for text, one in planned.items()}
        self.stage("unlearn", list(jobs.values()))
        return {
            text: self._weights(jobs[str(recipe.training)], recipe.taken) for text, recipe in recipes.items()
        }

    def _finished(
        self, recipes: dict[str, Recipe], trained: dict[str, Weights], start: str
    ) -> dict[str, Weights]:
        """Return recipe -> weights after its post-calibration, where it has one."""
        jobs = {
            text: post_job(self.world, text, trained[text].digest, start, self.numeric)
            for text, recipe in recipes.items()
            if recipe.post is not None and not trained[text].failure
        }
        self.stage("post-calibrate", list(jobs.values()))
        return {text: self._weights(jobs[text]) if text in jobs else trained[text] for text in recipes}

    def _weights(self, job: Job, step: int = 0) -> Weights:
        """Return what ``job`` made; of a training with checkpoints, the one after ``step``."""
        if failure := self.jobs.failure(job.key):
            return Weights(failure=failure)
        result, folder = self.jobs.result(job.key), self.jobs.path(job.key)
        if "checkpoints" in job.spec:
            result, folder = result["checkpoints"][str(step)], folder / str(step)
        if "checkpoint" not in result:
            return Weights(failure=result)
        self.world.store_checkpoint(result["checkpoint"], folder / "weights", base=job.spec["start"])
        return Weights(result["checkpoint"])
