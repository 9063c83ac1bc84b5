"""What a plan will cost: floating point operations over what this machine multiplied just now, and memory.

Estimates only: planned forwards and backwards, and one constant for the share of a matrix product's speed that a
small model reaches.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audit.attacks.base import ATTACKS, TIERS, Attack, Tier
from audit.core.errors import AuditError
from audit.data.records import Corpus, Side, Subject
from audit.methods.compose import Recipe, parse_recipe
from audit.methods.trajectory import trainings
from audit.models.load import folder_digest
from audit.models.trainings import TRAININGS
from audit.plan.schema import Given, Plan
from audit.plan.sizes import ResolvedSizes

CHARACTERS_PER_TOKEN = 3.5  # of short questions
EFFICIENCY = 0.3
LABORATORY_PARAMETERS = {"tiny": 2.1e6, "lab": 2.1e6, "large": 1.0e8, "smollm2": 134.5e6}
REFERENCE_PASSES = 8 * 1.7  # epochs of a laboratory's reference, times wordings trained
COPIES = 6  # weights, gradients, two moments, a reference and an attacked copy, in float32
SIDES: tuple[Side, ...] = ("forget", "retain", "twin")


@dataclass(frozen=True)
class TierCost:
    """What an attacker of one tier, who can do all that weaker ones can, costs on one candidate; estimates.

    ``passes`` counts forward-equivalents of one scoring pass over the subjects that are scored.
    """

    tier: Tier
    attacks: int
    passes: float
    seconds: float

    def text(self) -> str:
        """Return the cost as text."""
        return f"{self.tier} {counted(self.attacks, 'attack')}, {_passes(self.passes)}, {_duration(self.seconds)}"


@dataclass(frozen=True)
class Cost:
    """Weights of the model, and estimates: seconds on this machine, bytes per worker, attackers from weakest on."""

    parameters: float
    seconds: float
    memory_bytes: float
    tiers: tuple[TierCost, ...]

    def lines(self) -> list[str]:
        """Return the cost as text."""
        return [
            f"cost (estimate, this machine as it is now): {_duration(self.seconds)} with about"
            f" {self.parameters / 1e6:.1f} M parameters, {_bytes(self.memory_bytes)} per worker",
            "of it to attack one candidate, each attacker with all that weaker ones can do: "
            + " · ".join(tier.text() for tier in self.tiers),
        ]


def estimate(plan: Plan, corpus: Corpus, sizes: ResolvedSizes, *, score_tune: bool) -> Cost:
    """Return the cost of ``plan``; ``score_tune``: candidates are scored on tune subjects too."""
    parameters = _parameters(plan)
    speed = EFFICIENCY * _flops_per_second()
    tokens = {side: _tokens(corpus.side(side)) for side in SIDES}
    opened = {side: _opened(corpus, sizes, side, score_tune) for side in SIDES[:2]}
    one_pass = 2 * (opened["forget"] * tokens["forget"] + tokens["twin"])
    unattacked = 2 * opened["retain"] * tokens["retain"]  # retained subjects meet no attack
    attacks: list[Attack] = [ATTACKS.build(text) for text in plan.attacks]
    scoring = (len(plan.candidates) + 2) * (sum(a.cost for a in attacks) * one_pass + unattacked)
    making = _unlearning(plan, corpus, tokens) + _calibrating(plan, corpus, sizes, tokens)
    work = making + scoring + (_references(tokens) if plan.laboratory else 0.0)
    return Cost(
        parameters,
        parameters * work / speed,
        parameters * 4 * COPIES,
        tuple(_tiers(attacks, parameters * one_pass / speed)),
    )


def _tiers(attacks: Sequence[Attack], seconds: float) -> Iterator[TierCost]:
    """Yield one row per tier that the plan names; ``seconds`` of one scoring pass."""
    for number, tier in enumerate(TIERS):
        if any(attack.tier == tier for attack in attacks):
            able = [attack for attack in attacks if attack.tier in TIERS[: number + 1]]
            passes = sum(attack.cost for attack in able)
            yield TierCost(tier, len(able), passes, passes * seconds)


# Operations per weight: a forward pass takes 2 for every token, forward and backward 6.


def _unlearning(plan: Plan, corpus: Corpus, tokens: Mapping[str, float]) -> float:
    recipes = [parse_recipe(item) for item in plan.candidates if not isinstance(item, Given)]
    sequences = sum(len(s.probes) for side in SIDES[:2] for s in corpus.side(side))
    per_sequence = (tokens["forget"] + tokens["retain"]) / max(sequences, 1)
    asked = sum(len(s.probes) for s in corpus.forget)
    return sum(
        _again(plan, tokens)
        if "training" in t.recipe.method.needs
        else (float(t.recipe.cost) * t.steps * t.recipe.budget.batch + _weighing(t.recipe) * asked)
        * (2 * per_sequence * 6)
        for t in trainings(recipes).values()
    )


def _calibrating(plan: Plan, corpus: Corpus, sizes: ResolvedSizes, tokens: Mapping[str, float]) -> float:
    """Return at most what post-calibrations spend on looking at tune subjects: forward passes."""
    spent = 0.0
    recipes = (parse_recipe(item) for item in plan.candidates if not isinstance(item, Given))
    for post in (recipe.post for recipe in recipes if recipe.post is not None):
        for side in post.needs:
            probes = sum(len(s.probes) for s in corpus.side(side))
            tune = probes * sizes.side(side)["tune"] / max(len(corpus.side(side)), 1)
            looked = min(tune, getattr(post, "sequences", tune))
            spent += post.cost * looked * tokens[side] / max(probes, 1) * 2
    return spent


def _opened(corpus: Corpus, sizes: ResolvedSizes, side: Side, score_tune: bool) -> float:
    """Return the share of a side's subjects that candidates are scored on before anything sealed is opened."""
    dealt = sizes.side(side)
    return (dealt["calibrate"] + (dealt["tune"] if score_tune else 0)) / max(len(corpus.side(side)), 1)


def _weighing(recipe: Recipe) -> float:
    """Return what the weighting spends before the first step, in epochs over the forget sequences."""
    return 0.0 if recipe.weighting is None else recipe.weighting.cost


def _again(plan: Plan, tokens: Mapping[str, float]) -> float:
    """Return at most what the original's training takes; without the forgotten it takes less."""
    passes = plan.training.epochs if plan.training is not None else REFERENCE_PASSES
    return passes * (tokens["forget"] + tokens["retain"]) * 6


def _references(tokens: Mapping[str, float]) -> float:
    return REFERENCE_PASSES * (tokens["forget"] + 2 * tokens["retain"]) * 6


def _tokens(subjects: tuple[Subject, ...]) -> float:
    return sum(len(p.question) + len(p.answer) for s in subjects for p in s.probes) / CHARACTERS_PER_TOKEN


def _parameters(plan: Plan) -> float:
    if plan.laboratory is not None:
        shards = getattr(TRAININGS.build(plan.laboratory.training), "shards", 1)
        return (
            LABORATORY_PARAMETERS[plan.laboratory.subject] * shards**2
        )  # at most: embeddings grow with shards
    assert plan.model is not None
    files = sorted(plan.model.glob("*.safetensors"))
    if not files:
        folder_digest(plan.model)  # raises what is wrong with the directory
    return sum(map(tensor_sizes, files))


def tensor_sizes(path: Path) -> float:
    """Return the number of weights in a safetensors file, from its header alone; E202 if it is damaged."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), path.stat().st_size)))
    except ValueError:
        raise AuditError("E202", f"{path.name} is damaged", "restore the model directory") from None
    return float(sum(np.prod(t["shape"]) for name, t in header.items() if name != "__metadata__"))


def _flops_per_second() -> float:
    matrix = np.random.default_rng(0).standard_normal((768, 768)).astype(np.float32)
    np.matmul(matrix, matrix)  # the first product also starts the library's threads
    began = time.perf_counter()
    for _ in range(5):
        np.matmul(matrix, matrix)
    return 5 * 2 * 768**3 / (time.perf_counter() - began)


def counted(number: int, word: str) -> str:
    """Return a number with its noun, in the plural where it is not one."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _passes(number: float) -> str:
    return "1 pass" if number == 1 else f"{number:.3g} passes"


def _bytes(number: float) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 / 2 else f"{number / 2**20:.0f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
