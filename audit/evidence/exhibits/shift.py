"""What CUR becomes if the subjects that matter are not drawn like the audited ones: an assumption, not a finding."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import ClassVar

from audit.evidence import looks
from audit.evidence.exhibit import Column, Curve, Exhibit, Figure, Value
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.risk.shift import hellinger_upper, largest_radius, ratio_upper

RADII = (0.02, 0.05, 0.1, 0.2)
RATIOS = (1.5, 2.0, 3.0)
MOST_CURVES = 5
_GRID = tuple(place / 50 for place in range(16))


@EXHIBITS.register("shift")
@dataclass(frozen=True)
class Shift:
    """CUR under a Hellinger radius and under a bounded likelihood ratio, as curves labelled "if"."""

    name: ClassVar[str]
    place: ClassVar[int] = 50

    def make(self, case: Case) -> Exhibit | None:
        """Return the configurations whose CUR keeps the budget without a shift, and curves of those quoted."""
        return Exhibit(
            name=self.name,
            title="If some subjects matter more than others",
            claim=(
                "The audit draws subjects evenly from its list. If some matter more than others, because attackers ask"
                " for them more often, the risk is another. Two ways to say how much may change: no subject matters more"
                " than W times as much as in the audit; or the Hellinger distance between the two ways to draw is at"
                " most ρ (0: the same, 1: nothing in common). The numbers follow from CUR and hold whenever CUR does,"
                " if the assumption does. No measurement shows that it does."
            ),
            columns=_columns(case),
            rows=tuple(_row(case, row) for row in _shown(case)),
            notes=_notes(case),
            watermark="if",
            figure=_figure(case),
        )


def _columns(case: Case) -> tuple[Column, ...]:
    budget = looks.percent(case.settings.alpha_forget)
    return (
        *looks.CONFIGURATION,
        Column("CUR", "upper"),
        Column(f"{budget} kept up to W"),
        Column(f"{budget} kept up to ρ"),
        *(Column(f"if W = {ratio:g}", "upper") for ratio in RATIOS),
        *(Column(f"if ρ = {radius:g}", "upper") for radius in RADII),
    )


def _row(case: Case, row: int) -> tuple[Value, ...]:
    cur, budget = case.results[row].cur, case.settings.alpha_forget
    return (
        *looks.configuration(case, row),
        cur,
        *_kept(cur, budget),
        *(ratio_upper(cur, ratio) for ratio in RATIOS),
        *(hellinger_upper(cur, radius) for radius in RADII),
    )


def _kept(cur: float, budget: float) -> tuple[str, str]:
    """Return the largest assumptions under which the budget is kept, rounded down."""
    radius = largest_radius(cur, budget)
    if radius is None:
        return "–", "–"
    ratio = "any" if cur == 0 else f"{floor(100 * budget / cur + 1e-9) / 100:g}"
    return ratio, f"{floor(1000 * radius + 1e-6) / 1000:g}"


def _shown(case: Case) -> list[int]:
    """Return the rows whose CUR keeps the budget; those quoted if none does."""
    kept = [row for row, item in enumerate(case.results) if item.cur <= case.settings.alpha_forget]
    return sorted({*kept, *looks.quoted(case)})


def _curves(case: Case) -> list[int]:
    return sorted(looks.quoted(case), key=lambda row: case.results[row].cur)[:MOST_CURVES]


def _figure(case: Case) -> Figure:
    curves = tuple(
        Curve(
            f"if: No. {row + 1}", _GRID, tuple(hellinger_upper(case.results[row].cur, rho) for rho in _GRID)
        )
        for row in sorted(_curves(case))
    )
    return Figure(
        x_label="assumed Hellinger radius ρ",
        y_label="risk at most, if (%)",
        panels=(("", curves),),
        budget=case.settings.alpha_forget,
    )


def _notes(case: Case) -> tuple[str, ...]:
    drawn, quoted = len(_curves(case)), len(looks.quoted(case))
    left = len(case.results) - len(_shown(case))
    others = (
        (f"{left} configurations whose CUR exceeds the budget without any shift are left out.",)
        if left
        else ()
    )
    some = f" The {drawn} smallest CURs are drawn." if drawn < quoted else ""
    return (
        f"{looks.quoting(case).replace('shown', 'drawn')}{some}",
        "W: CUR times W. ρ: the Gramian bound (Weber et al., arXiv:2202.01679, as in C-RAG, arXiv:2402.03181) with the"
        " largest variance that losses in [0, 1] can have; 100 % where nothing better is proven.",
        "W and ρ are alternatives; each holds by itself.",
        *others,
    )
