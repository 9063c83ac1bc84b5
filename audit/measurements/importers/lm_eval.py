"""lm-evaluation-harness's per-sample logs: ``samples_<task>_<time>.jsonl``, one folder per model.

Gao et al., github.com/EleutherAI/lm-evaluation-harness at 034ab03, ``loggers/evaluation_tracker.py``: ``--log_samples``
writes one object a line, targets as text, scores of choices as lists of text. Sides by the task's name: ``wmdp*`` and
tasks with ``forget`` in their name are to be forgotten, those with ``holdout`` are twins, all others are to be
kept; the forget list is named after its tasks. A question is a unit; MMLU's are one unit per school subject, as
they resemble each other. Of the samples only numbers stay: the task's own metrics and whether the answer came out
right. A choice is right or wrong, so its ROUGE-L recall is 1 or 0; a generation's is computed before the text goes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from audit.core.digest import digest_json, keyed
from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.text import yields
from audit.measurements.importers import fields
from audit.measurements.importers.base import IMPORTERS, Request
from audit.measurements.importers.gather import Audit, Source, gather
from audit.measurements.importers.jsonlog import load_lines
from audit.measurements.importers.logfile import Column, Log
from audit.measurements.importers.naming import explicit_roles, read_name
from audit.measurements.table import Measurements

rouge_scorer = lazy("rouge_score.rouge_scorer")

_FILE = re.compile(r"samples_(?P<task>.+?)(?:_\d{4}-\d{2}-\d{2}T[\d.:-]+)?\.jsonl")
_ROWS = 1_000_000  # of one task, so that two tasks never share a row number
_NOT_METRICS = ("doc_id", "target")  # numbers of an older log that are no metric
_CHOICES = ("acc", "exact_match")  # what says whether the answer is right, where a task has no generation


@dataclass(frozen=True)
class Samples:
    """The samples of one task of one model."""

    task: str
    number: int
    rows: tuple[dict[str, Any], ...]

    @property
    def side(self) -> str:
        """Return forget, twin or retain, by the task's name."""
        if self.task.startswith("wmdp") or "forget" in self.task:
            return "forget"
        return "twin" if "holdout" in self.task else "retain"

    def unit(self, row: Mapping[str, Any]) -> str:
        """Return the canonical name of a sample's unit."""
        return f"lm-eval/{self.task}" + ("" if self.task.startswith("mmlu_") else f"/{row['doc_id']}")

    def index(self, row: Mapping[str, Any]) -> int:
        """Return the sample's row number, unique over tasks."""
        return self.number * _ROWS + int(float(row["doc_id"]))


@IMPORTERS.register("lm-eval")
@dataclass(frozen=True)
class LmEval:
    """Every model's sample logs under a folder, one audit of all of them."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    source: ClassVar[str] = "https://github.com/EleutherAI/lm-evaluation-harness"

    def read(self, folder: Path, request: Request) -> list[Measurements]:
        """Return one ``Measurements``; raises E130 to E136, E150 for a sample without number or metric."""
        found = [
            (path, match["task"])
            for path in sorted(folder.rglob("samples_*.jsonl"))
            if (match := _FILE.fullmatch(path.name))
        ]
        if not found:
            raise AuditError("E130", f"{folder} holds no samples_*.jsonl", "evaluate with --log_samples")
        number = {task: i for i, task in enumerate(sorted({task for _, task in found}))}
        models: dict[Path, list[tuple[Path, str]]] = defaultdict(list)
        for path, task in found:
            models[path.parent].append((path, task))
        roles = explicit_roles(folder, [path for path, _ in found], request.roles)
        sources = [self._source(folder, files, number, roles, request.key) for files in models.values()]
        tasks = "+".join(task for task in number if Samples(task, 0, ()).side == "forget")
        return [gather(Audit("lm-eval", "", tasks, tuple(sources)), request, f"{self.name}@{self.version}")]

    def _source(
        self,
        folder: Path,
        files: Sequence[tuple[Path, str]],
        number: Mapping[str, int],
        roles: Mapping[Path, str],
        key: bytes,
    ) -> Source:
        place = files[0][0].parent.relative_to(folder).as_posix()
        tasks = [task for _, task in files]
        if len(set(tasks)) < len(tasks):
            raise AuditError(
                "E135", f"{place} holds two logs of one task", "keep one run of each task and model"
            )
        name = read_name(folder, files[0][0])
        role = roles.get(files[0][0], name.role)
        return Source(place, role, role if role != "candidate" else place, _log(files, number, key))


def _log(files: Sequence[tuple[Path, str]], number: Mapping[str, int], key: bytes) -> Log:
    loaded = [(load_lines(path), task) for path, task in files]
    samples = [Samples(task, number[task], tuple(_checked(rows, task))) for (rows, _), task in loaded]
    units: dict[str, dict[int, str]] = defaultdict(dict)
    fingerprints: dict[str, dict[int, int]] = defaultdict(dict)
    for one in samples:
        for row in one.rows:
            units[one.side][one.index(row)] = keyed(key, one.unit(row))
            fingerprints[one.side][one.index(row)] = hash(row.get("doc_hash") or str(row.get("target")))
    return Log(
        sha256=digest_json(sorted(digest for (_, digest), _ in loaded)),
        forget_list="",
        columns=_columns(samples),
        units=dict(units),
        fingerprints=dict(fingerprints),
        aggregates={},
        left_out={},
        unrecognised=0,
    )


def _checked(rows: Sequence[dict[str, Any]], task: str) -> list[dict[str, Any]]:
    """Keep the first filter's sample of each question; E150 where a sample has no number or no metric."""
    kept: dict[int, dict[str, Any]] = {}
    for row in rows:
        if not _is_number(row.get("doc_id")) or not _numbers(row):
            raise AuditError(
                "E150", f"a sample of {task} has no doc_id or no metric", "evaluate again with --log_samples"
            )
        kept.setdefault(int(row["doc_id"]), row)
    return list(kept.values())


def _columns(samples: Sequence[Samples]) -> tuple[Column, ...]:
    values: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for one in samples:
        for row in one.rows:
            for metric, value in {**_numbers(row), **_answered(row)}.items():
                values[one.side, metric][one.index(row)] = value
    return tuple(
        Column(side, metric, np.array(list(found)), fields.cleaned(metric, np.array(list(found.values()))))
        for (side, metric), found in sorted(values.items())
    )


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the task's own metrics: those the sample names, or every number of an older log."""
    named = row.get("metrics")
    names = (
        named if isinstance(named, list) else [k for k in row if k not in _NOT_METRICS and _is_number(row[k])]
    )
    found = {k: float(row[k]) for k in names if isinstance(k, str) and isinstance(row.get(k), int | float)}
    return {"accuracy" if k == "acc" else f"lm_eval_{k}": v for k, v in found.items()}


def _answered(row: Mapping[str, Any]) -> dict[str, float]:
    """Return ``exact_match`` and ``rouge_l_recall`` of a generation, or of a choice that is right or wrong."""
    answer, said = row.get("target"), row.get("filtered_resps")
    if isinstance(answer, str) and isinstance(said, list) and said and isinstance(said[0], str):
        recall = _scorer().score(target=answer, prediction=said[0])["rougeL"].recall
        return {"exact_match": float(yields(answer, said[0])), "rouge_l_recall": float(recall)}
    right = next((float(row[name]) for name in _CHOICES if isinstance(row.get(name), int | float)), None)
    return {} if right is None else {"exact_match": right, "rouge_l_recall": right}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@lru_cache(maxsize=1)
def _scorer() -> Any:  # building the stemmer costs more than scoring
    return rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
