"""The labelled baseline: a C-RAG-style CUR on a normalised e_R, with its measured miscoverage beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any, ClassVar

from audit.core.rounding import rounded_down, rounded_up
from audit.evidence.exhibit import Column, Exhibit, Value
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.plan.froc import Averages, averages
from audit.risk.froc_reconstruction import NORMALISERS, reconstruct


@EXHIBITS.register("froc_reconstruction")
@dataclass(frozen=True)
class FrocReconstruction:
    """What the baseline would say of this audit, and how often it was wrong where the truth was known."""

    name: ClassVar[str]
    place: ClassVar[int] = 61

    def make(self, case: Case) -> Exhibit | None:
        """Return one row per normaliser; None without the metrics or the retrained reference."""
        found = averages(case.assembly)
        if found is None:
            return None
        measured = json.loads(COUNTS.read_text(encoding="utf-8"))
        return Exhibit(
            name=self.name,
            title="C-RAG-style reconstruction (ours), a baseline",
            claim=(
                "For comparison only: what a CUR computed from one normalised e_R would say of this audit, after FROC"
                " (arXiv:2512.13337) and C-RAG (arXiv:2402.03181). FROC's normaliser is not public in detail, so three are"
                " shown and the reconstruction is ours. The first columns are what it would claim, the last two how"
                " often such claims were wrong in simulated audits whose truth is known. No verdict rests on it."
            ),
            columns=_columns(measured),
            rows=tuple(_row(case, found, name, measured) for name in NORMALISERS),
            notes=tuple(_notes(measured)),
            watermark="baseline: not valid",
        )


COUNTS = resources.files("audit.risk") / "froc_reconstruction.json"
"""Counts of broken promises, written by ``benchmarks/froc_reconstruction.py``."""


def _columns(measured: list[dict[str, Any]]) -> tuple[Column, ...]:
    promised = f"promised at most {100 * measured[0]['setting']['delta']:g}\u00a0%"
    return (
        Column("Normaliser"),
        Column("Picks"),
        Column("claims at most", "upper"),
        Column("verdict here"),
        Column("CUR here", "upper"),
        Column("Lists", "count"),
        Column("of these valid here", "count"),
        Column(f"Simulated: claim too low ({promised})"),
        Column(f"Simulated: listed one above the budget ({promised})"),
    )


def _row(case: Case, found: Averages, name: str, measured: list[dict[str, Any]]) -> tuple[Value, ...]:
    told = reconstruct(found.e_r, found.units, case.settings.alpha_forget, case.delta, name)
    valid = sum(bool(listed) and r.in_valid_set for listed, r in zip(told.listed, case.results, strict=True))
    picked = case.results[told.selected] if told.selected >= 0 else None
    return (
        name,
        f"No.\u00a0{told.selected + 1}" if picked else None,
        float(told.cur[told.selected]) if picked else None,
        str(picked.verdict) if picked else None,
        picked.cur if picked else None,
        int(told.listed.sum()),
        valid,
        *(_range([c for c in measured if c["normaliser"] == name], what) for what in ("selected", "listed")),
    )


def _range(cells: list[dict[str, Any]], what: str) -> str:
    """Return the smallest and largest share over the cells, rounded outwards to whole percent."""
    shares = [100 * cell[what] / cell["replications"] for cell in cells]
    low, high = rounded_down(min(shares), 0), rounded_up(max(shares), 0)
    return f"{low} %" if low == high else f"{low} to {high} %"


def _notes(measured: list[dict[str, Any]]) -> Iterator[str]:
    at, size = measured[0]["setting"], measured[0]["replications"]
    units = " or ".join(str(n) for n in sorted({c["setting"]["n"] for c in measured}))
    cells = len({json.dumps(c["setting"], sort_keys=True) for c in measured})
    yield (
        f"Simulated were {at['configurations']} configurations, {units} units, likelihood losses with light and"
        f" with heavy tails, configurations close together and further apart; {cells} settings, {size:,} audits each."
        " Smallest and largest share over the settings; the table of all settings is in"
        " benchmarks/results/2026-11-21-froc-reconstruction.md."
    )
    yield (
        "Why it fails: e_R is no average of bounded losses, so no theorem stands behind the bound; a normaliser that looks"
        " at the other configurations gives the best one a risk of 0 whatever it leaks; and the smallest of many estimates"
        " is too small. It sees the unattacked model only. The budget for forgetting is applied to the normalised e_R, for"
        " want of another."
    )
