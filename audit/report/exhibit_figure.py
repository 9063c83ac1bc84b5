"""The figure of an exhibit: small panels of lines with their bands, marks as well as colours."""

from __future__ import annotations

from typing import Any

from audit.evidence.exhibit import Curve, Exhibit, Figure
from audit.report.palette import BUDGET_COLOUR
from audit.report.svg import WIDTH, Drawing, draw_svg

ACROSS = 4  # panels in a row
MARKS = (("o", "#1f4e9e"), ("s", "#b3261e"), ("^", "#00695c"), ("D", "#7a5c00"), ("v", "#6a3d9a"))


def draw_exhibit(exhibit: Exhibit) -> Drawing | None:
    """Return the drawing of an exhibit; None if it has no figure."""
    figure = exhibit.figure
    if figure is None or not figure.panels:
        return None
    count = len(figure.panels)
    across = min(ACROSS, count)
    down = -(-count // across)

    def draw(canvas: Any) -> None:
        panels = canvas.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for axes, (title, curves) in zip(panels.flat, figure.panels, strict=False):
            _panel(axes, figure, title, curves)
        for axes in panels.flat[count:]:
            axes.set_axis_off()
        for axes in panels.flat[max(count - across, 0) : count]:
            axes.tick_params(labelbottom=True)
        handles, labels = panels.flat[0].get_legend_handles_labels()
        if len(labels) > 1:
            canvas.legend(handles, labels, loc="outside upper left", ncols=len(labels), frameon=False)
        canvas.supxlabel(figure.x_label, fontsize=9)
        canvas.supylabel(figure.y_label, fontsize=9)

    height = 3.4 if count == 1 else 0.9 + 1.5 * down
    return draw_svg(
        f"exhibit-{exhibit.name}",
        exhibit.title,
        f"{count} panels of {figure.y_label} against {figure.x_label}. The table below holds the numbers.",
        _caption(figure),
        draw,
        (WIDTH, height),
    )


def _panel(axes: Any, figure: Figure, title: str, curves: tuple[Curve, ...]) -> None:
    scale = 100 if figure.percent else 1
    for curve, (mark, colour) in zip(curves, MARKS * (1 + len(curves) // len(MARKS)), strict=False):
        if curve.lower and curve.upper:
            low, high = ([scale * v for v in side] for side in (curve.lower, curve.upper))
            axes.fill_between(curve.x, low, high, color=colour, alpha=0.2, linewidth=0)
        y = [scale * v for v in curve.y]
        axes.plot(curve.x, y, color=colour, marker=mark, markersize=4, linewidth=1.4, label=curve.label)
    if figure.budget is not None:
        axes.axhline(scale * figure.budget, color=BUDGET_COLOUR, linestyle="--", linewidth=0.8)
    axes.set_title(title, fontsize=7.5, loc="left")
    if figure.percent:
        axes.set_ylim(-4, 104)
        axes.set_yticks([0, 50, 100])
    if figure.log_x:
        axes.set_xscale("log")
    if figure.ticks:
        places, names = zip(*figure.ticks, strict=True)
        axes.set_xticks(places, names, rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(labelsize=8)


def _caption(figure: Figure) -> str:
    banded = any(curve.lower for _, curves in figure.panels for curve in curves)
    parts = [
        "Band: lower and upper bound." if banded else "",
        "Dashed: budget." if figure.budget is not None else "",
    ]
    return " ".join(part for part in parts if part)
