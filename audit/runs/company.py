"""The company that some metrics need: original and retrained model, and solved questions about strangers.

ReCaLL (arXiv:2406.15968) puts texts in front that the model was never trained on: here one question of each of a
few never-trained twins, those first that set no threshold. Which ones follows from the lock and is stored by
pseudonym, so a job that is done again reads the same prefix.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from audit.core.digest import digest_json
from audit.core.seeds import generator
from audit.data.records import Probe
from audit.metrics.inputs import COMPANY, SHOTS, Company, needs_of
from audit.metrics.whitebox.patching import refuse_foreign
from audit.runs.job import write_json
from audit.runs.split import tune_subjects
from audit.runs.world import World

_ROLES = {"original": "original", "reference": "retrained"}
_CONTROLS = 8  # retained subjects on which exchanging states of the two references is tried


def company_spec(world: World, references: Mapping[str, str], metrics: Iterable[str]) -> dict[str, str]:
    """Return need -> digest of a checkpoint or of a choice of questions, for the spec of a job that measures ``metrics``.

    ``references``: role -> checkpoint digest. Empty where no metric needs company.
    """
    needed = [need for need in COMPANY if need in needs_of(metrics)]
    return {n: references[_ROLES[n]] if n in _ROLES else _store(world, strangers(world)) for n in needed}


def company_of(world: World, spec: Mapping[str, str]) -> Company:
    """Return what ``company_spec`` named; E291 where a metric exchanges states that cannot be exchanged."""
    models = {need: world.model(spec[need]) for need in _ROLES if need in spec}
    if "patching" in needs_of(world.lock.content["metrics"]):
        retained = [probe for subject in world.corpus.retain[:_CONTROLS] for probe in subject.probes]
        refuse_foreign(models["original"], models["reference"], retained)
    return Company(**models, prefix=_read(world, spec["prefix"]) if "prefix" in spec else ())


def strangers(world: World) -> list[Probe]:
    """Return one question of each of ``SHOTS`` + 1 twins, so that ``SHOTS`` are left for each of these."""
    random = generator(world.seed("prefix"))
    tune = tune_subjects(world, "twin")
    twins = sorted(world.corpus.twins, key=lambda twin: twin.subject)
    shuffled = [twins[i] for i in random.permutation(len(twins))]
    chosen = sorted(shuffled, key=lambda twin: twin.subject not in tune)[: SHOTS + 1]
    return [twin.probes[random.integers(len(twin.probes))] for twin in chosen]


def _store(world: World, probes: Iterable[Probe]) -> str:
    choice = [[probe.subject, probe.probe] for probe in probes]
    digest = digest_json(choice)
    write_json(world.run / "prefixes" / f"{digest}.json", choice)
    return digest


def _read(world: World, digest: str) -> tuple[Probe, ...]:
    choice = json.loads((world.run / "prefixes" / f"{digest}.json").read_text(encoding="utf-8"))
    known = {(probe.subject, probe.probe): probe for twin in world.corpus.twins for probe in twin.probes}
    return tuple(known[subject, probe] for subject, probe in choice)
