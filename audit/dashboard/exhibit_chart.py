"""The chart of an exhibit: small panels of lines with their bands."""

from __future__ import annotations

from typing import Any

from audit.core.lazy import lazy
from audit.evidence.exhibit import Figure
from audit.report.palette import BUDGET_COLOUR

alt = lazy("altair")

_PANEL_PIXELS = 220


def exhibit(figure: Figure) -> Any:
    """Return one small panel per entry of ``figure.panels``, on common axes."""
    factor = 100 if figure.percent else 1
    rows = [
        {"panel": title, "line": curve.label, "x": x, "y": factor * y, **_band(curve, place, factor)}
        | ({} if figure.budget is None else {"budget": factor * figure.budget})
        for title, curves in figure.panels
        for curve in curves
        for place, (x, y) in enumerate(zip(curve.x, curve.y, strict=True))
    ]
    names = {f"{at:g}": name for at, name in figure.ticks}
    axis = alt.Axis(grid=False)
    if names:
        chosen = " : ".join(f"datum.value == {at} ? {name!r}" for at, name in names.items())
        axis = alt.Axis(grid=False, values=[at for at, _ in figure.ticks], labelExpr=f"{chosen} : ''")
    x = alt.X(
        "x:Q", title=figure.x_label, axis=axis, scale=alt.Scale(type="log" if figure.log_x else "linear")
    )
    scale = alt.Scale(domain=[0, 100]) if figure.percent else alt.Scale(zero=False)
    y = {"scale": scale, "title": figure.y_label}
    colour = alt.Color("line:N", title=None, legend=alt.Legend(orient="top"))
    base = alt.Chart()
    layers = [
        base.mark_area(opacity=0.2).encode(x=x, y=alt.Y("lower:Q", **y), y2="upper", color=colour),
        base.mark_line(point=True).encode(x=x, y=alt.Y("y:Q", **y), color=colour, shape="line:N"),
    ]
    if figure.budget is not None:
        dashed = base.mark_rule(strokeDash=[4, 3], color=BUDGET_COLOUR)
        layers.append(dashed.encode(y=alt.Y("mean(budget):Q", **y)))
    panel = alt.layer(*layers, data=alt.Data(values=rows)).properties(width=_PANEL_PIXELS, height=150)
    titles = [title for title, _ in figure.panels]
    header = alt.Header(title=None, labelLimit=_PANEL_PIXELS, labelAnchor="start")
    return panel.facet(alt.Facet("panel:N", sort=titles, header=header), columns=3)


def _band(curve: Any, place: int, factor: int) -> dict[str, float]:
    if not (curve.lower and curve.upper):
        return {}
    return {"lower": factor * curve.lower[place], "upper": factor * curve.upper[place]}
