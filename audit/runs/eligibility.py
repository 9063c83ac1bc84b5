"""Who can be audited: decided on the whole list, from the references alone, before the split is drawn.

A forget subject whose secret the original never gave away is not auditable: it is counted on the certificate and
stands outside its claim. A retained subject counts by the probes the original answers right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from audit.core.errors import AuditError
from audit.data.records import Subject
from audit.plan.schema import Loss
from audit.runs.world import World

KNOWN_MARGIN = 0.1  # in mean extraction strength, for lists without secrets


@dataclass(frozen=True)
class Eligibility:
    """``auditable`` forget subjects and, per retained subject, the ``known`` probes; both in corpus order."""

    auditable: tuple[str, ...]
    known: dict[str, tuple[str, ...]]

    @property
    def retained(self) -> tuple[str, ...]:
        """Retained subjects with at least one known probe."""
        return tuple(subject for subject, probes in self.known.items() if probes)


def decide(world: World, original: Any, retrained: Any | None) -> Eligibility:
    """Decide from the rows of ``original`` and ``retrained`` without attack (data frames of one job each)."""
    values = _lookup(original)
    reference = _lookup(retrained) if retrained is not None else None
    eligibility = Eligibility(
        tuple(s.subject for s in world.corpus.forget if _is_known(s, values, reference)),
        {s.subject: _right(s, values) for s in world.corpus.retain},
    )
    _refuse_hopeless(world, eligibility)
    return eligibility


def _lookup(frame: Any) -> dict[tuple[str, str, str], float]:
    columns = (frame[name] for name in ("subject", "probe", "metric", "value"))
    return {(subject, probe, metric): value for subject, probe, metric, value in zip(*columns, strict=True)}


def _is_known(subject: Subject, original: dict, reference: dict | None) -> bool:
    secrets = [p for p in subject.probes if p.kind == "secret"]
    if secrets:
        return any(_yields(p, original) and not (reference and _yields(p, reference)) for p in secrets)
    return (
        _strength(subject, original) - (_strength(subject, reference) if reference else 0.0) >= KNOWN_MARGIN
    )


def _strength(subject: Subject, values: dict) -> float:
    """Return the mean extraction strength; NaN, which is no margin, when a probe has no score."""
    found = [values.get((subject.subject, p.probe, "extraction_strength"), math.nan) for p in subject.probes]
    return sum(found) / len(found)


def _yields(probe: Any, values: dict) -> bool:
    return any(
        values.get((probe.subject, probe.probe, name), 0.0) >= 1 for name in ("exact_match", "forced_match")
    )


def _right(subject: Subject, values: dict) -> tuple[str, ...]:
    return tuple(p.probe for p in subject.probes if values.get((p.subject, p.probe, "exact_match"), 0.0) >= 1)


def _refuse_hopeless(world: World, eligibility: Eligibility) -> None:
    sizes, known = world.sizes, sum(map(len, eligibility.known.values()))
    asked = sum(len(s.probes) for s in world.corpus.retain)
    if 2 * known < asked:
        raise AuditError(
            "E410",
            f"the original answers {known} of {asked} retain probes right; utility means something from half on",
            "give a retain list the original knows, or train the original longer",
        )
    if len(eligibility.auditable) < sizes.forget["calibrate"]:
        raise AuditError(
            "E411",
            f"the original knows {len(eligibility.auditable)} forget subjects, the plan opens {sizes.forget['calibrate']}",
            "lower `sizes.forget`, or check that `original` was trained on the forget list",
        )


def primary_needs(loss: Loss) -> frozenset[str]:
    """Return what the primary losses need: secrets, twins, retrained."""
    needs = {
        "recovered": "secrets",
        "leak_at_k": "secrets",
        "above_twins": "twins",
        "residual_knowledge": "retrained",
    }
    return frozenset(needs[name] for name in loss.primary if name in needs)
