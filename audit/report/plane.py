"""The risk–utility plane: a rectangle per candidate, controls, the corner within both budgets shaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from audit.core.lazy import lazy
from audit.evidence.certificate import Certificate, ConfigurationResult, Verdict
from audit.report import reading, wording
from audit.report.palette import BUDGET_COLOUR, COLOURS, CONTROL_COLOUR, CONTROL_SHAPES, GRID_COLOUR, SHAPES
from audit.report.svg import WIDTH, Drawing, draw_svg

patches = lazy("matplotlib.patches")

# Hollow, so that a candidate at the same place is not hidden.
_HOLLOW = {"color": CONTROL_COLOUR, "markerfacecolor": "none", "markeredgewidth": 1.5}
TICKS = (0, 1, 2, 5, 10, 20, 30, 40, 50, 60, 80, 100)  # percent, on square-root axes


def risk_utility(certificate: Certificate) -> Drawing | None:
    """Draw a rectangle per candidate, utility harm across and forgetting risk upwards, and the controls."""
    shown = [(n, c) for n, c in reading.numbered(certificate) if reading.has_utility(c)]
    if not shown:
        return None
    controls = [c for c in certificate.references if reading.has_utility(c)]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        valid_x, valid_y = 100 * certificate.alpha_utility, 100 * certificate.alpha_forget
        axes.add_patch(
            patches.Rectangle((0, 0), valid_x, valid_y, facecolor="#e3f1ee", edgecolor="none", zorder=0)
        )
        axes.axvline(valid_x, color=BUDGET_COLOUR, linestyle="--", linewidth=1)
        axes.axhline(valid_y, color=BUDGET_COLOUR, linestyle="--", linewidth=1)
        _square_root_axes(axes)
        for _, item in shown:
            _rectangle(axes, item)
        texts = [_control(axes, item) for item in controls] + [
            _point(axes, item, str(n)) for n, item in shown
        ]
        _place(axes, texts)
        axes.set_xlabel(f"{wording.words(certificate.utility_loss)} on retained subjects (%)")
        axes.set_ylabel("forgetting risk, worst attack (%)")
        _legend(axes, {c.verdict for _, c in shown}, {c.role for c in controls})

    title = "Forgetting risk and utility harm"
    passing = sum(c.in_valid_set for _, c in shown)
    description = (
        f"{len(shown)} candidates as rectangles; {passing} of them in the valid set. The shaded corner at "
        f"the lower left is within {wording.budget(certificate.alpha_forget)} forgetting risk and "
        f"{wording.budget(certificate.alpha_utility)} {wording.words(certificate.utility_loss)}. "
        "The table of configurations holds every number."
    )
    return draw_svg("plane", title, description, rectangle_caption(certificate), draw, (WIDTH, 6.4))


def rectangle_caption(certificate: Certificate) -> str:
    """Say at which level the sides of a risk–utility rectangle hold."""
    together = wording.budget(1 - certificate.delta)
    sides = (
        "A rectangle reaches from the lower to the upper bounds; marks are estimates. Each side is a "
        f"one-sided bound at level δ/{2 * certificate.family_size}: the upper sides of both kinds hold for all "
        f"configurations together at confidence {together}."
    )
    exact = "Every unit was measured, so that rectangles shrink to points."
    return (
        "Shaded: within both budgets; axes are square-root scaled. "
        f"{exact if certificate.estimand == 'census' else sides} "
        "Controls stand outside the family and are drawn without a rectangle."
    )


def _rectangle(axes: Any, item: ConfigurationResult) -> None:
    forget_lower, forget_upper, utility_lower, utility_upper = (100 * side for side in item.rectangle)
    corner, size = (utility_lower, forget_lower), (utility_upper - utility_lower, forget_upper - forget_lower)
    colour = COLOURS[item.verdict]
    axes.add_patch(
        patches.Rectangle(corner, *size, facecolor=colour + "14", edgecolor=colour, linewidth=0.8, zorder=2)
    )


def _point(axes: Any, item: ConfigurationResult, text: str) -> tuple[str, float, float, str]:
    x, y = _position(item)
    axes.plot(x, y, SHAPES[item.verdict], color=COLOURS[item.verdict], markersize=6, zorder=4, clip_on=False)
    return text, x, y, "#000000"


def _control(axes: Any, item: ConfigurationResult) -> tuple[str, float, float, str]:
    x, y = _position(item)
    shape = CONTROL_SHAPES.get(item.role, "h")
    axes.plot(x, y, shape, **_HOLLOW, markersize=12, zorder=5, clip_on=False)
    return item.role, x, y, CONTROL_COLOUR


def _position(item: ConfigurationResult) -> tuple[float, float]:
    clause = reading.worst(item)
    return 100 * item.utility_estimate, 100 * (clause.estimate if clause else item.cur)


def _place(axes: Any, texts: list[tuple[str, float, float, str]]) -> None:
    """Write each text near its point, at the first of eight places that no point or earlier text occupies."""
    scale = axes.figure.get_size_inches() * (72 * 0.85, 72 * 0.8)  # points across the axes, near enough
    points = [scale * (math.sqrt(x / 100), math.sqrt(y / 100)) for _, x, y, _ in texts]
    taken = [(px - 4, py - 4, px + 4, py + 4) for px, py in points]
    for (text, x, y, colour), (px, py) in zip(texts, points, strict=True):
        wide = 5.5 * len(text)
        places = [(dx if dx > 0 else dx - wide, dy) for dx in (6, -6, 16) for dy in (-3, 5, -11)]
        boxes = [(px + dx, py + dy, px + dx + wide, py + dy + 8) for dx, dy in places]
        free = [
            i
            for i, box in enumerate(boxes)
            if box[0] > -4 and box[1] > -2 and not any(_overlap(box, other) for other in taken)
        ]
        best = free[0] if free else 0
        taken.append(boxes[best])
        axes.annotate(
            text, (x, y), places[best], textcoords="offset points", fontsize=8, color=colour, zorder=6
        )


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _square_root_axes(axes: Any) -> None:
    """Spread the low corner, where the budgets lie."""
    axes.set_xscale("function", functions=(_root, np.square))
    axes.set_yscale("function", functions=(_root, np.square))
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_xticks(TICKS, [str(tick) for tick in TICKS])
    axes.set_yticks(TICKS, [str(tick) for tick in TICKS])
    axes.grid(color=GRID_COLOUR, linewidth=0.6)
    axes.set_axisbelow(True)


def _root(values: Any) -> Any:
    return np.sqrt(np.maximum(values, 0))


def _legend(axes: Any, verdicts: set[Verdict], roles: set[str]) -> None:
    for verdict in Verdict:
        if verdict in verdicts:
            axes.plot([], [], SHAPES[verdict], color=COLOURS[verdict], label=str(verdict))
    for role in sorted(roles):
        axes.plot([], [], CONTROL_SHAPES.get(role, "h"), **_HOLLOW, label=f"control: {role}")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.08), ncols=5, frameon=False, fontsize=8)
