"""TOFU's own evaluation logs, ``eval_log_aggregated.json``, as its first code wrote them.

Maini et al. 2024, github.com/locuslab/tofu at 8c49eee, ``evaluate_util.py`` and ``config/forget.yaml``.
``{file: {measure: {index: value}}}`` with losses per token; the first 300 rows of each list are evaluated by default.
Rewritten into open-unlearning's layout and then read by the same rules; the per-sample ``truth_ratio`` there is wrong
over right, only its summary turns it round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from audit.measurements.importers.audits import read_audits
from audit.measurements.importers.base import IMPORTERS, Request
from audit.measurements.importers.tofu import Tofu
from audit.measurements.table import Measurements

_SIDES = {
    "eval_log_forget.json": "forget_",
    "eval_log.json": "retain_",
    "eval_real_author_wo_options.json": "ra_",
    "eval_real_world_wo_options.json": "wf_",
}
_LOSSES = {
    "avg_gt_loss": "Q_A_Prob",
    "avg_paraphrased_loss": "Q_A_PARA_Prob",
    "average_perturb_loss": "Q_A_PERT_Prob",
}


@dataclass(frozen=True)
class TofuLegacy:
    """Layout of ``eval_log_aggregated.json``; sides and units are those of TOFU's newer log."""

    benchmark: str = "tofu"
    file_name: str = "eval_log_aggregated.json"

    def place(self, metric: str, part: str) -> tuple[str, str] | None:
        """Return (side, measure) as for the newer log."""
        return Tofu().place(metric, part)

    def translate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the log in open-unlearning's layout; measures nobody reads there are dropped."""
        return {
            f"{prefix}{metric}": {"value_by_index": entries}
            for file, prefix in _SIDES.items()
            if isinstance(data.get(file), dict)
            for metric, entries in _translated(data[file])
        }

    def shift(self, metric: str) -> int:
        """Return 0: all metrics of a side ask the rows of one file."""
        return 0

    def forget_list(self, questions: int) -> str:
        """Return the list by its size; 300 rows are the default cut of forget10, the only list as long."""
        return Tofu().forget_list(400 if questions == 300 else questions)

    def unit(self, side: str, forget_list: str, index: int, question: str | None) -> tuple[str, bool]:
        """Return the author, named as in the newer log."""
        return Tofu().unit(side, forget_list, index, question)


@IMPORTERS.register("tofu-legacy")
@dataclass(frozen=True)
class TofuLegacyLogs:
    """Every ``eval_log_aggregated.json`` under a folder, one audit per base model and forget list."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    source: ClassVar[str] = "https://github.com/locuslab/tofu"

    def read(self, folder: Path, request: Request) -> list[Measurements]:
        """Return one ``Measurements`` per audit, in order of their names; raises E130 to E136."""
        return read_audits(folder, request, (TofuLegacy(),), f"{self.name}@{self.version}")


def _translated(measures: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (metric, value_by_index) of one file."""
    for name, metric in _LOSSES.items():
        if isinstance(measures.get(name), dict):
            yield metric, {i: {"prob": _likely(v), "avg_loss": v} for i, v in measures[name].items()}
    if isinstance(measures.get("truth_ratio"), dict):
        yield "Truth_Ratio", {i: {"score": v} for i, v in measures["truth_ratio"].items()}
    recalls = {
        n: measures[n] for n in ("rougeL_recall", "rouge1_recall") if isinstance(measures.get(n), dict)
    }
    if recalls:
        texts = measures.get("generated_text") or {}
        rows = dict.fromkeys(i for values in recalls.values() for i in values)
        yield (
            "Q_A_ROUGE",
            {
                i: {**{n: values.get(i) for n, values in recalls.items()}, **_texts(texts.get(i))}
                for i in rows
            },
        )


def _likely(loss: Any) -> Any:
    """Return exp(-loss) of a number or of each in a list; anything else stays as it is."""
    if isinstance(loss, list):
        return [_likely(one) for one in loss]
    return float(np.exp(-loss)) if isinstance(loss, int | float) else loss


def _texts(triple: Any) -> dict[str, str]:
    """Return prompt, generation and answer under their newer names; they are dropped after the exact match."""
    if isinstance(triple, list) and len(triple) == 3 and all(isinstance(text, str) for text in triple):
        return dict(zip(("input", "generation", "ground_truth"), triple, strict=True))
    return {}
