"""What a job does: train a reference, unlearn a candidate, measure a checkpoint under one attack.

A task fills its folder and returns its result; everything it needs stands in the spec and the world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from audit.attacks.base import ATTACKS, Attack, AttackContext, Attacked, injects
from audit.attacks.prompts.rewording import Rewording
from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.data.records import Probe
from audit.methods.compose import parse_recipe, run_recipe
from audit.metrics.inputs import Company, scored_for
from audit.metrics.measure import measure, without_generation
from audit.models.checkpoints import Checkpoints
from audit.models.load import LanguageModel, save, weight_digest
from audit.models.scoring import Decoding, Scored
from audit.models.sliced import base_of
from audit.plan.schema import Plan
from audit.runs.company import company_of
from audit.runs.references import second_wordings, starting_model, train
from audit.runs.world import BASE, World

pd = lazy("pandas")
torch = lazy("torch")

Result = dict[str, Any]
Question = tuple[float, str, str]
ROW_FIELDS = ("dose", "fold", "draw", "subject", "probe", "metric", "value")


def perform(spec: dict[str, Any], folder: Path, world: World) -> Result:
    """Do the job of ``spec`` in ``folder`` and return its result."""
    return _TASKS[spec["kind"]](spec, folder, world)


def _reference(spec: dict[str, Any], folder: Path, world: World) -> Result:
    model = train(spec["role"], world)
    known = second_wordings(model, world) if spec["role"] == "original" else [0, 0]
    if model.has_adapter:
        save(base_of(model), folder / "weights" / BASE)
    return _store(model, folder) | {"second_wordings": known}


def _unlearn(spec: dict[str, Any], folder: Path, world: World) -> Result:
    """Train the one checkpoint of ``spec``, or all that it lists; one of these may fail and the others stand."""
    steps, kept = spec.get("checkpoints", ()), {}

    def keep(step: int, model: LanguageModel) -> None:
        try:
            _refuse_divergence(model)
            kept[str(step)] = _store(model, folder / str(step))
        except AuditError as error:
            kept[str(step)] = {"code": error.code, "cause": error.cause, "remedy": error.remedy}

    recipe = parse_recipe(spec["recipe"])
    start = starting_model(world, spec["start"], recipe)
    model = run_recipe(
        recipe,
        start,
        world.examples("forget"),
        world.examples("retain"),
        seed=world.seed("unlearn", spec["recipe"]),
        callbacks=(Checkpoints(tuple(steps), keep),) if steps else (),
    )
    if steps:
        return {"checkpoints": kept}
    _refuse_divergence(model)
    return _store(model.merged() if start.has_adapter else model, folder)


def _calibrate(spec: dict[str, Any], folder: Path, world: World) -> Result:
    """Move trained weights to where the recipe's post-calibration says, by the tune subjects of ``spec`` alone."""
    recipe = parse_recipe(spec["recipe"])
    start = starting_model(world, spec["start"], recipe)
    model = world.model(spec["made"]).clone()
    tune = world.examples_of(world.read_units(spec["units"])) if "units" in spec else []
    recipe.post.calibrate(start, model, tune, world.seed("unlearn", str(recipe.training)))
    _refuse_divergence(model)
    return _store(model, folder)


def _refuse_divergence(model: LanguageModel) -> None:
    bad = sum(int((~torch.isfinite(weight)).sum()) for weight in model.network.parameters())
    if bad:
        raise AuditError(
            "E310",
            f"training ended with {bad} weights that are not finite",
            "lower this recipe's learning rate or strength",
        )


def _store(model: LanguageModel, folder: Path) -> Result:
    save(model, folder / "weights")
    return {"checkpoint": weight_digest(model)}


def _measure(spec: dict[str, Any], folder: Path, world: World) -> Result:
    model = world.model(spec["checkpoint"])
    attack = ATTACKS.build(spec["attack"])
    units = world.read_units(spec["units"])
    probes = world.probes(subject for side in units.values() for subject in side)
    reason = attack.not_applicable(model, probes)
    if reason is not None:
        return {"state": "not_applicable", "reason": reason, "cells": [], "not_asked": [], "diagnostics": {}}
    context = AttackContext(
        seed=world.seed("attack", spec["attack"]),
        forget=world.corpus.forget,
        halves=world.halves,
        original=world.model(spec["original"]),
        retain=world.corpus.retain,
    )
    rows, cells, asked = _score_all(attack, model, probes, context, spec, world)
    frame = pd.DataFrame(rows, columns=list(ROW_FIELDS))
    frame.to_parquet(folder / "rows.parquet", index=False)
    return {
        "state": "measured",
        "reason": "",
        "cells": sorted(cells),
        "not_asked": sorted(
            {*_not_asked(attack, probes, asked, world), *_out_of_reach(attack, model, probes, context)}
        ),
        "diagnostics": dict(attack.diagnose(model, context)),
    }


def _score_all(
    attack: Attack,
    model: LanguageModel,
    probes: Sequence[Probe],
    context: AttackContext,
    spec: dict[str, Any],
    world: World,
) -> tuple[list[tuple], set[tuple[float, str]], set[Question]]:
    """Return rows, the (dose, side) cells measured, and every (dose, subject, probe) asked."""
    rows: list[tuple] = []
    cells: set[tuple[float, str]] = set()
    asked: set[Question] = set()
    company = company_of(world, spec.get("company", {}))
    for item in attack.apply(model, probes, context):
        compared = compares_twins(item.dose, attack, world.lock.plan)
        wanted = [p for p in item.probes if world.side_of[p.subject] != "twin" or compared]
        scored = _score(
            item, wanted, spec["metrics"], generated_sides=spec["generate"], world=world, company=company
        )
        rows.extend(_rows(item, scored, spec["metrics"]))
        cells.update((item.dose, world.side_of[p.subject]) for p in wanted)
        asked.update((item.dose, p.subject, p.probe) for p in wanted)
    return rows, cells, asked


def compares_twins(dose: float, attack: Attack, plan: Plan) -> bool:
    """Return whether twins answer at ``dose``: at the last, and at each where they are threshold or only control."""
    return dose == max(attack.doses) or "above_twins" in plan.loss.primary or injects(attack)


def _not_asked(attack: Attack, probes: Sequence[Probe], asked: set[Question], world: World) -> list[Question]:
    """Forget and retain probes that the attack has no way of asking (no second wording, say)."""
    planned = {
        (dose, p.subject, p.probe)
        for dose in attack.doses
        for p in probes
        if world.side_of[p.subject] != "twin"
    }
    return sorted(planned - asked)


def _out_of_reach(
    attack: Attack, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
) -> set[Question]:
    """Questions that a rewording cannot put to forgotten persons who are not scored here: they are not on its list."""
    if not isinstance(attack, Rewording):
        return set()
    scored = {probe.subject for probe in probes}
    others = [p for s in context.forget if s.subject not in scored for p in s.probes]
    reached = {
        (item.dose, p.subject, p.probe) for item in attack.apply(model, others, context) for p in item.probes
    }
    return {(dose, p.subject, p.probe) for dose in attack.doses for p in others} - reached


def _score(
    item: Attacked,
    probes: Sequence[Probe],
    metrics: Iterable[str],
    *,
    generated_sides: Iterable[str],
    world: World,
    company: Company,
) -> list[Scored]:
    """Score probes in one pass; those of ``generated_sides``, or all where the attack decodes, by generation too."""
    sides = set(generated_sides) if item.decoding is None else set(world.side_of.values())
    spoken = [p for p in probes if world.side_of[p.subject] in sides]
    silent = [p for p in probes if world.side_of[p.subject] not in sides]
    listed = world.probes(subject for subject, side in world.side_of.items() if side in sides)
    decoding = item.decoding or _decoding(item.model, [*spoken, *listed])
    said = scored_for(metrics, item.model, spoken, generate=True, decoding=decoding, company=company)
    return said + scored_for(metrics, item.model, silent, company=company)


def _decoding(model: LanguageModel, probes: Sequence[Probe]) -> Decoding:
    """Greedy, long enough for the longest answer with a few tokens to spare: a collapsed model never stops.

    ``probes``: of whole lists, so that an answer is cut where it would be cut whoever else is asked beside it.
    """
    texts = [model.prompt.separator + probe.answer.strip() for probe in probes]
    tokens = model.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    longest = max(map(len, tokens), default=0) + 1  # the end of the text
    return Decoding(max_new_tokens=longest + 4)


def _rows(item: Attacked, scored: Sequence[Scored], metrics: Iterable[str]) -> Iterable[tuple]:
    first = [one for one in scored if one.generation is not None and one.draw == 0]
    others = [one for one in scored if one.draw > 0]  # likelihoods are those of the first draw
    silent = [one for one in scored if one.generation is None]
    unspoken = without_generation(metrics)
    spoken = [name for name in metrics if name not in unspoken]
    for r in (*measure(first, metrics), *measure(others, spoken), *measure(silent, unspoken)):
        yield (item.dose, item.fold, r.draw, r.subject, r.probe, r.metric, r.value)


_TASKS: dict[str, Callable[[dict[str, Any], Path, World], Result]] = {
    "reference": _reference,
    "unlearn": _unlearn,
    "calibrate": _calibrate,
    "measure": _measure,
}
