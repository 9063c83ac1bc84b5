"""From a plan to its people: the laboratory's registry or the user's files, checked for overlap."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from audit.core.digest import digest_json
from audit.core.errors import AuditError
from audit.data import registry_lab
from audit.data.benchmarks.jsonl import check_disjoint, read_subjects
from audit.data.records import Corpus, Subject
from audit.models.trainings import FULL
from audit.plan.schema import Plan
from audit.plan.sizes import LABORATORY_SIZES, ResolvedSizes


def corpus_of(plan: Plan) -> Corpus:
    """Generate or read the corpus of ``plan``; overlapping sides are refused with counts only."""
    if plan.laboratory is not None:
        return _registry(plan)
    if plan.data is None:
        raise AuditError("E104", "the plan names no data", "add `data` with forget and retain")
    layout = plan.data.format
    corpus = Corpus(
        forget=read_subjects(plan.data.forget, "forget", layout),
        retain=read_subjects(plan.data.retain, "retain", layout),
        twins=read_subjects(plan.data.twins, "twin", layout) if plan.data.twins else (),
        lists=(
            ("forget", plan.data.forget.stem),
            ("retain", plan.data.retain.stem),
            ("twin", plan.data.twins.stem if plan.data.twins else "twins"),
        ),
    )
    check_disjoint(corpus)
    return corpus


def laboratory_seed(plan: Plan) -> int:
    """Return the seed of the persons: it depends on release and training, so two laboratories share nobody."""
    laboratory = plan.laboratory
    assert laboratory is not None
    name = f"{laboratory.subject}/{laboratory.release}"
    trained = "" if laboratory.training == FULL else f"/{laboratory.training}"
    return registry_lab.person_seed(plan.seed, name + trained)


def side_digest(subjects: Sequence[Subject]) -> str:
    """Digest a list of subjects with all their probes; names the list in the ledger.

    Other ways of asking are left out: with new ones it is still the same list of people.
    """
    return digest_json([_without_wordings(dataclasses.asdict(subject)) for subject in subjects])


def wordings_digest(corpus: Corpus) -> str:
    """Digest the other ways of asking that the probes carry, of all sides in order."""
    sides = ("forget", "retain", "twin")
    return digest_json([[list(p.wordings) for s in corpus.side(side) for p in s.probes] for side in sides])


def _without_wordings(subject: dict[str, Any]) -> dict[str, Any]:
    return subject | {"probes": [probe | {"wordings": ()} for probe in subject["probes"]]}


def _registry(plan: Plan) -> Corpus:
    laboratory = plan.laboratory
    assert laboratory is not None
    sizes = ResolvedSizes.of(plan, LABORATORY_SIZES[laboratory.subject])
    return registry_lab.generate(
        laboratory_seed(plan),
        forget=sizes.total("forget"),
        retain=sizes.total("retain"),
        twins=sizes.total("twin"),
        facts=laboratory.facts,
        secrets=laboratory.secrets,
        wordings=True,
    )
