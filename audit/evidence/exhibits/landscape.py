"""Risk landscape: curves of risk over the hyperparameters of each method, and settings for a next audit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.evidence.exhibit import Column, Curve, Exhibit, Figure, Value
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.plan.froc import weights_of
from audit.plan.naming import attack_label
from audit.plan.sweeps import Sweep, sweeps
from audit.plan.tuned import Tuned, tuned
from audit.risk.landscape import RiskLandscape
from audit.risk.suggest import Suggestion, suggest

LEVEL = 0.8
"""Share of new configurations that a band should hold."""

_PLACES = 9  # points of a curve
_TICKS = (1, 2, 5, 10, 20, 50, 100, 1000)
_COLUMNS = (
    Column("Method"),
    Column("Setting"),
    Column("Status"),
    Column("Forgetting risk", "share"),
    Column("from", "lower"),
    Column("to", "upper"),
    Column("Utility harm", "share"),
    Column("from", "lower"),
    Column("to", "upper"),
    Column("e_R", "share"),
)


@EXHIBITS.register("landscape")
@dataclass(frozen=True)
class Landscape:
    """Fits both risks over each method's parameters, on tune units only, and suggests what to try next."""

    name: ClassVar[str]
    place: ClassVar[int] = 70

    def make(self, case: Case) -> Exhibit | None:
        """Return curves and suggestions; None where no tune unit was measured or no method has a sweep."""
        data = tuned(case.assembly)
        if data is None:
            return None
        fitted, left_out = _fit_all(data)
        if not fitted:
            return None
        return Exhibit(
            name=self.name,
            title="Risk landscape: where to look next",
            claim=(
                "A smooth model of both risks over each method's settings, fitted to the tune subjects only: people who"
                " are outside the claim of this audit. A suggested setting is a guess. It becomes a result only when a new"
                " audit trains it and measures it on fresh subjects."
            ),
            columns=_COLUMNS,
            rows=tuple(row for fit in fitted for row in _rows(case, fit)),
            notes=tuple(_notes(data, fitted, left_out)),
            watermark="exploration: suggestions need a new audit",
            figure=_figure(fitted),
        )


@dataclass(frozen=True, eq=False)
class _Fit:
    sweep: Sweep
    forget: RiskLandscape
    utility: RiskLandscape

    @property
    def models(self) -> tuple[tuple[str, RiskLandscape], ...]:
        return (("forgetting risk, worst attack", self.forget), ("utility harm", self.utility))


def _fit_all(data: Tuned) -> tuple[list[_Fit], list[str]]:
    """Return the landscapes, and for every sweep without one its label and the reason."""
    fitted, left_out = [], []
    for sweep in sweeps(tuple(data.rows)):
        rows = [data.rows[name] for name in sweep.names]
        try:
            models = [
                RiskLandscape(LEVEL).fit(sweep.values, losses[rows]) for losses in (data.forget, data.utility)
            ]
        except ValueError as reason:
            left_out.append(f"{sweep.label}: {reason}")
        else:
            fitted.append(_Fit(sweep, *models))
    return fitted, left_out


def _rows(case: Case, fit: _Fit) -> Iterator[tuple[Value, ...]]:
    """Yield the best setting tried, as measured, and the suggestions, as expected."""
    weights, sweep = weights_of(case.assembly), fit.sweep
    scores = weights.forget * fit.forget.risk_ + weights.utility * fit.utility.risk_
    best = int(np.argmin(scores))
    measured = (float(model.risk_[best]) for _, model in fit.models)
    tried = (value for risk in measured for value in (risk, None, None))
    yield (sweep.label, sweep.recipe(sweep.values[best]), "best tried", *tried, float(scores[best]))
    for found in _suggested(case, fit):
        yield (
            sweep.label,
            sweep.recipe(found.parameters),
            "suggested, expected",
            *found.forget,
            *found.utility,
            found.score,
        )


def _suggested(case: Case, fit: _Fit) -> tuple[Suggestion, ...]:
    return suggest(
        fit.forget,
        fit.utility,
        fit.sweep.values,
        whole=fit.sweep.whole,
        weights=weights_of(case.assembly),
    )


def _figure(fitted: list[_Fit]) -> Figure:
    panels = tuple(
        (f"{fit.sweep.label}: {name}, 1× = {fit.sweep.values[:, at].min():g}", tuple(_curves(fit, at)))
        for fit in fitted
        for at, name in enumerate(fit.sweep.parameters)
    )
    widest = max(float((fit.sweep.values.max(axis=0) / fit.sweep.values.min(axis=0)).max()) for fit in fitted)
    ticks = tuple((float(at), f"{at:g}×") for at in _TICKS if at <= widest)
    label = "setting, as a multiple of the smallest one tried"
    return Figure(label, "risk on tune subjects, %", panels, ticks, log_x=True)


def _curves(fit: _Fit, at: int) -> Iterator[Curve]:
    """Yield both risks along one parameter, the others held at the middle of what was tried."""
    low, high = fit.sweep.values.min(axis=0), fit.sweep.values.max(axis=0)
    points = np.tile(np.sqrt(low * high), (_PLACES, 1))
    points[:, at] = np.geomspace(low[at], high[at], _PLACES)
    along = tuple((points[:, at] / low[at]).tolist())
    for label, model in fit.models:
        risk, lower, upper = (tuple(part.tolist()) for part in model.predict_interval(points).T)
        yield Curve(label, along, risk, lower, upper)


def _notes(data: Tuned, fitted: list[_Fit], left_out: list[str]) -> Iterator[str]:
    attacks = ", ".join("unattacked" if a == "none" else attack_label(a, dose) for a, dose in data.cells)
    yield (
        f"Fitted to {data.forget.shape[1]} forget and {data.utility.shape[1]} retain subjects of the tune split, under:"
        f" {attacks}. Bands are meant to hold {100 * LEVEL:g}\u00a0% of newly trained configurations; a curve along one"
        " parameter holds the others at the middle of what was tried."
    )
    for fit in fitted:
        yield (
            f"{fit.sweep.label}, {len(fit.sweep.names)} configurations, each left out in turn and predicted from the"
            f" others: inside the band, before widening, in {_held(fit.forget)} cases for forgetting and"
            f" {_held(fit.utility)} for utility; bands were widened {fit.forget.factor_:.1f}× and"
            f" {fit.utility.factor_:.1f}×{_attainable(fit.forget)}."
        )
    yield (
        "A suggestion may look worse than the best tried: the best of what was measured looks better than it is, and"
        " expectations do not."
    )
    if left_out:
        yield f"Without a landscape: {'; '.join(left_out)}."


def _held(model: RiskLandscape) -> str:
    return f"{int(model.held_out_.sum())} of {len(model.held_out_)}"


def _attainable(model: RiskLandscape) -> str:
    """Say when so few configurations cannot support the level asked for."""
    few = model.level_ < model.level
    return f", which so few support to {100 * model.level_:.0f} % only" if few else ""
