"""What decides the outcome of each kind of job: the specs whose digests are the jobs' names."""

from __future__ import annotations

from typing import Any

from audit.attacks.base import ATTACKS
from audit.methods.compose import Recipe, parse_recipe
from audit.methods.trajectory import Training
from audit.models.load import compute_dtype, resolve_device
from audit.runs.backends.local import device_kind
from audit.runs.company import company_spec
from audit.runs.job import Job
from audit.runs.split import tune_subjects
from audit.runs.world import World


def numerics(device: str) -> dict[str, str]:
    """Return what of the machine enters a job key: the kind of device and the precision there."""
    kind = device_kind(device)
    return {
        "device": kind,
        "dtype": "float32" if kind == "cpu" else str(compute_dtype(resolve_device(device))),
    }


def common_spec(world: World, numeric: dict[str, str]) -> dict[str, Any]:
    """Return the part of a spec that all jobs of a run share."""
    return {
        "lists": world.lock.content["lists"],
        "prompt": world.lock.plan.prompt or "default",
        "seed": world.lock.digest,
        **numeric,
    }


def training_job(world: World, training: Training, start: str, numeric: dict[str, str]) -> Job:
    """Return the job that trains once and keeps every checkpoint that some candidate is."""
    recipe = training.recipe
    spec = {"kind": "unlearn", "recipe": str(recipe), "start": start} | common_spec(world, numeric)
    if not training.whole:
        spec["checkpoints"] = list(training.checkpoints)
    return Job(spec, recipe.short, cost=recipe.cost * training.steps)


def post_job(world: World, text: str, made: str, start: str, numeric: dict[str, str]) -> Job:
    """Return the job that moves the trained weights ``made`` to where the recipe's post-calibration says.

    The tune subjects that it looks at are part of the job's name.
    """
    spec = {"kind": "calibrate", "recipe": text, "made": made, "start": start} | common_spec(world, numeric)
    recipe: Recipe = parse_recipe(text)
    if recipe.post.needs:
        tune = {side: sorted(tune_subjects(world, side)) for side in sorted(recipe.post.needs)}
        spec["units"] = world.store_units(tune)
    return Job(spec, recipe.short, cost=recipe.post.cost)


def measure_job(
    world: World,
    name: str,
    digest: str,
    references: dict[str, str],
    attack: str,
    units: dict[str, list[str]],
    numeric: dict[str, str],
) -> Job:
    """Return the job that scores one checkpoint under one attack on the given units.

    ``references``: role -> checkpoint digest; metrics that compare take their company from there.
    """
    built = ATTACKS.build(attack)
    sides = ["forget", "retain", "twin"] if attack == "none" else ["forget", "twin"]
    spoken = ["forget"] if "answered" in world.lock.plan.loss.primary else []  # a loss of generated text
    chosen = {side: units[side] for side in sides if units.get(side)}
    spec = {
        "kind": "measure",
        "checkpoint": digest,
        "original": references["original"],
        "attack": attack,
        "attack_version": built.version,
        "metrics": dict(world.lock.content["metrics"]),
        "units": world.store_units(chosen),
        "sides": sorted(chosen),
        "generate": ["forget", "retain"] if attack == "none" else spoken,
    } | common_spec(world, numeric)
    if company := company_spec(world, references, world.lock.content["metrics"]):
        spec["company"] = company
    return Job(spec, f"{name} under {attack}", cost=built.cost)
