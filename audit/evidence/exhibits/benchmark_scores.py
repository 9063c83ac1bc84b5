"""What the field's benchmarks would print for each model, from the values of this audit.

Recomputed by ``audit.metrics.aggregates``: TOFU's forget quality and truth ratio (arXiv:2401.06121), MUSE's privacy
leakage (arXiv:2407.06460), the membership AUC, and the plain means that leaderboards rank by. They are points
without confidence, over questions and not over people, and stand here so that the verdict can be read beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from audit.core.errors import AuditError
from audit.evidence.exhibit import Column, Exhibit, Value
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.metrics.aggregates.base import AGGREGATES
from audit.plan.naming import configuration_label

MEANS = (
    ("extraction_strength", "Extraction strength"),
    ("extraction_strength_floored", "Extraction strength, floor 1/T"),
    ("exact_memorization", "Exact memorization"),
    ("probability", "Probability"),
    ("rouge_l_recall", "ROUGE-L recall"),
)
LEAKS = (("min_k_40", -1.0), ("mia_min_k", 1.0))  # metric and sign: larger = stranger
TRUTH = "truth_ratio_geometric"


@dataclass(frozen=True, eq=False)
class Scores:
    """Probe values of one audit without an attack, on opened forget subjects and on twins."""

    case: Case

    @cached_property
    def forget(self) -> np.ndarray:
        """Rows of the opened forget subjects."""
        return self.case.assembly.cube.rows_of(self.case.assembly.opened("forget"))

    @cached_property
    def twins(self) -> np.ndarray:
        """Rows of the never-trained twins."""
        return self.case.assembly.cube.rows_of(self.case.assembly.opened("twin", ("threshold",)))

    def values(self, metric: str, configuration: int, units: np.ndarray) -> np.ndarray:
        """Return the metric of every probe of ``units``, (n,); NaN where one was not measured."""
        cube = self.case.assembly.cube
        at = cube.cells.index(("none", 0.0))
        return cube.values(metric)[configuration, at, units][cube.exists[units]]

    def is_measured(self, metric: str, configuration: int, units: np.ndarray) -> bool:
        """Return whether all probes have the metric."""
        found = self.values(metric, configuration, units)
        return bool(found.size and np.isfinite(found).all())


@EXHIBITS.register("benchmark_scores")
@dataclass(frozen=True)
class BenchmarkScores:
    """Leaderboard scores of every model, candidates and references, beside the verdict."""

    name: ClassVar[str]
    place: ClassVar[int] = 90

    def make(self, case: Case) -> Exhibit | None:
        """Return one row per model with the scores this audit's metrics allow; None where there are none."""
        assembly = case.assembly
        if ("none", 0.0) not in assembly.cube.cells:
            return None
        scores, known = Scores(case), assembly.cube.configurations
        reference = assembly.references.get("retrained")
        retrained = known.index(reference) if reference in known else None
        columns = list(_columns(scores, retrained))
        table = [[make(row) for _, make in columns] for row in range(len(known))]
        kept = [j for j in range(len(columns)) if any(row[j] is not None for row in table)]
        if not kept:
            return None
        return Exhibit(
            name=self.name,
            title="What benchmarks of the field would print",
            claim=(
                "Scores without an attack, recomputed from this audit's values on the opened forget subjects. They are"
                " points without confidence, taken over questions as if these were independent, and decide nothing here."
            ),
            columns=(Column("Model"), *(columns[j][0] for j in kept)),
            rows=tuple(
                (configuration_label(name), *(table[row][j] for j in kept)) for row, name in enumerate(known)
            ),
            notes=_NOTES,
            watermark="exploration",
        )


_NOTES = (
    "Read every score beside the row of the retrained model: its AUC is no half, its truth ratios and recalls are no 0.",
    "Forget quality: a large p-value on few subjects is want of evidence, not evidence of forgetting.",
    "PrivLeak: 0 as the retrained model, -100 % as if nothing were forgotten.",
)


def _columns(scores: Scores, retrained: int | None) -> Iterator[tuple[Column, Callable[[int], Value]]]:
    """Yield each column and what fills it, from the place of a model."""
    for metric, title in MEANS:
        yield Column(title, "number"), _mean(scores, metric)
    yield Column("Membership AUC (nll)", "number"), _auc(scores)
    for metric, sign in LEAKS:
        yield Column("PrivLeak (Min-40 %)", "number"), _privleak(scores, metric, sign, retrained)
    yield Column("Truth ratio (closer to one)", "number"), _truth(scores)
    yield Column("Forget quality (p)", "number"), _quality(scores, retrained)


def _mean(scores: Scores, metric: str) -> Callable[[int], Value]:
    def fill(row: int) -> Value:
        if not scores.is_measured(metric, row, scores.forget):
            return None
        return float(scores.values(metric, row, scores.forget).mean())

    return fill


def _auc(scores: Scores) -> Callable[[int], Value]:
    def fill(row: int) -> Value:
        found = _pair(scores, "nll", 1.0, row)
        return None if found is None else _table("membership_auc", **found)["membership_auc"]

    return fill


def _privleak(scores: Scores, metric: str, sign: float, retrained: int | None) -> Callable[[int], Value]:
    def fill(row: int) -> Value:
        null = None if retrained is None else _pair(scores, metric, sign, retrained)
        found = _pair(scores, metric, sign, row)
        if found is None or null is None:
            return None
        try:
            return _table("privleak", **found, **{f"retrained_{k}": v for k, v in null.items()})["privleak"]
        except AuditError:  # E353: no null to compare with
            return None

    return fill


def _truth(scores: Scores) -> Callable[[int], Value]:
    def fill(row: int) -> Value:
        if not scores.is_measured(TRUTH, row, scores.forget):
            return None
        return _table("truth_ratio_summary", truth_ratio=scores.values(TRUTH, row, scores.forget))[
            "closer_to_one"
        ]

    return fill


def _quality(scores: Scores, retrained: int | None) -> Callable[[int], Value]:
    def fill(row: int) -> Value:
        if retrained is None or not all(
            scores.is_measured(TRUTH, r, scores.forget) for r in (row, retrained)
        ):
            return None
        ours, theirs = (scores.values(TRUTH, r, scores.forget) for r in (row, retrained))
        return _table("forget_quality", forget=ours, retrained_forget=theirs)["forget_quality"]

    return fill


def _pair(scores: Scores, metric: str, sign: float, row: int) -> dict[str, np.ndarray] | None:
    """Return the metric on forget subjects and twins, larger = stranger; None unless all of both have it."""
    sides = {"forget": scores.forget, "twins": scores.twins}
    if not all(scores.is_measured(metric, row, units) for units in sides.values()):
        return None
    return {name: sign * scores.values(metric, row, units) for name, units in sides.items()}


def _table(name: str, **inputs: np.ndarray) -> dict[str, float]:
    return AGGREGATES.build(name).table(inputs)
