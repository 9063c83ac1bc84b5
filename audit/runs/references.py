"""The reference checkpoints of a laboratory run: original (knows everybody) and retrained (never saw the forget list)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from audit.core.seeds import derive
from audit.data.records import Probe
from audit.data.registry_lab import both_wordings
from audit.methods.compose import Recipe
from audit.models import smollm2
from audit.models.laboratory import LaboratorySpec, Role, accept, hits, training_examples
from audit.models.laboratory_training import LaboratoryTraining
from audit.models.load import LanguageModel
from audit.models.provenance import FineTuning, Training
from audit.models.scope import Scope
from audit.models.scoring import score
from audit.models.trainings import TRAININGS
from audit.plan.corpus import laboratory_seed
from audit.runs.job import Job
from audit.runs.world import World

ROLES: tuple[Role, ...] = ("original", "retrained")
SMOLLM2_EPOCHS, SMOLLM2_BATCH, SMOLLM2_LR = 7, 32, 2e-4


def reference_jobs(world: World, numeric: Mapping[str, str]) -> dict[str, Job]:
    """Return role -> training job; none for a plan that brings its own models."""
    laboratory = world.lock.plan.laboratory
    if laboratory is None:
        return {}
    base = {
        "kind": "reference",
        "laboratory": laboratory.model_dump(),
        "lists": world.lock.content["lists"],
        "person_seed": laboratory_seed(world.lock.plan),
        **numeric,
    }
    return {
        role: Job({**base, "role": role}, f"train {role}", cost=2.0 if role == "original" else 1.0)
        for role in ROLES
    }


def train(role: Role, world: World) -> LanguageModel:
    """Train one reference of the laboratory."""
    laboratory = world.lock.plan.laboratory
    assert laboratory is not None
    if laboratory.subject == "smollm2":
        return _fine_tuned(role, world)
    training = _laboratory_training(world)
    return training.again(with_forgotten=True, seed=0) if role == "original" else training.control()


def starting_model(world: World, digest: str, recipe: Recipe) -> LanguageModel:
    """Return the model that ``recipe`` starts from, with its training where the method does it again.

    An adapter stays apart for the methods that take parts of it away, or that change it where the scope lets all
    weights move; all others find it merged, and so does a post-calibration: what it calibrates is stored merged.
    """
    model, needs = world.model(digest), recipe.method.needs
    changed = getattr(recipe.method, "keeps_adapter", False) and recipe.scope == Scope() and not recipe.post
    if not changed and not needs & {"adapter", "training"}:
        return model.merged() if model.has_adapter else model
    return replace(model, training=training_of(world) if "training" in needs else None)


def training_of(world: World) -> Training | None:
    """Return the training of the original; None where the plan does not state it."""
    plan = world.lock.plan
    if plan.laboratory is not None:
        return (
            _smollm2_training(world) if plan.laboratory.subject == "smollm2" else _laboratory_training(world)
        )
    if plan.training is None:
        return None
    stated, base = plan.training, world.lock.content["weights"]["base"]
    return FineTuning(
        start=lambda: world.model(base).merged(),
        forget=world.examples("forget"),
        retain=world.examples("retain"),
        epochs=stated.epochs,
        batch=stated.batch,
        lr=stated.lr,
        seed=stated.seed,
    )


def second_wordings(model: LanguageModel, world: World) -> list[int]:
    """Return [answered, asked] over second wordings of persons for whom only the first was trained."""
    trained, corpus = _wordings(world), world.raw_corpus
    others = [s for s in (*corpus.forget, *corpus.retain) if s.subject not in trained]
    probes = [_reworded(p) for s in others for p in s.probes if p.paraphrased_questions]
    return [int(np.sum(hits(score(model, probes)))), len(probes)] if probes else [0, 0]


def accept_laboratory(world: World, frames: Mapping[str, Any], wordings: list[int]) -> None:
    """Refuse a tiny laboratory whose references do not know, or do not not-know, what they should (E320).

    ``frames``: role -> rows of the unattacked scores. A pretrained model is not held to these shares: persons it
    does not recall are counted as not auditable.
    """
    laboratory = world.lock.plan.laboratory
    if laboratory is None or laboratory.subject == "smollm2":
        return
    secrets = {(p.subject, p.probe) for s in world.corpus.forget for p in s.probes if p.kind == "secret"}
    known = [
        hit for (subject, _), hit in _hits(frames["original"]).items() if world.side_of[subject] != "twin"
    ]
    accept(
        original=known,
        retrained_secrets=[hit for key, hit in _hits(frames["retrained"]).items() if key in secrets],
        second_wordings=[True] * wordings[0] + [False] * (wordings[1] - wordings[0]),
    )


def _hits(frame: Any) -> dict[tuple[str, str], bool]:
    chosen = frame[frame["metric"] == "forced_match"]
    return {
        (s, p): v >= 1 for s, p, v in zip(chosen["subject"], chosen["probe"], chosen["value"], strict=True)
    }


def _spec(world: World) -> LaboratorySpec:
    laboratory, seed = world.lock.plan.laboratory, laboratory_seed(world.lock.plan)
    assert laboratory is not None
    sizes = {"tiny": LaboratorySpec.tiny, "lab": LaboratorySpec, "large": LaboratorySpec.large}
    return sizes[laboratory.subject](seed=seed, release=laboratory.release)  # type: ignore[operator]


def _wordings(world: World) -> frozenset[str]:
    """Return who is trained on two wordings: everybody in slices or shards, else the registry's draw.

    An adapter or a shard learns its few persons too narrowly to answer a wording it was never trained on.
    """
    corpus, seed = world.raw_corpus, laboratory_seed(world.lock.plan)
    dealt = _how(world).deal(corpus, seed)
    if dealt.slices or dealt.shards:
        return frozenset(person.subject for person in (*corpus.forget, *corpus.retain))
    return both_wordings(corpus, seed)


def _how(world: World) -> Any:
    laboratory = world.lock.plan.laboratory
    assert laboratory is not None
    return TRAININGS.build(laboratory.training)


def _laboratory_training(world: World) -> LaboratoryTraining:
    return LaboratoryTraining(world.raw_corpus, _spec(world), _how(world), _wordings(world), world.device)


def _reworded(probe: Probe) -> Probe:
    return replace(probe, question=probe.paraphrased_questions[0], form="paraphrase")


def _fine_tuned(role: Role, world: World) -> LanguageModel:
    return _smollm2_training(world, role).again(with_forgotten=role == "original", seed=0)


def _smollm2_training(world: World, role: Role = "original") -> FineTuning:
    corpus, wordings = world.raw_corpus, _wordings(world)
    return FineTuning(
        start=lambda: smollm2.load_pretrained(device=world.device),
        forget=training_examples(corpus.forget, wordings),
        retain=training_examples(corpus.retain, wordings),
        epochs=SMOLLM2_EPOCHS,
        batch=SMOLLM2_BATCH,
        lr=SMOLLM2_LR,
        seed=derive(laboratory_seed(world.lock.plan), "fine-tune", role),
    )
