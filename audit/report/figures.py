"""The report's figures: risk–utility plane, CUR of every configuration, attack map, dose and response.

Every outcome has a shape as well as a colour, and configurations carry the number they have in the tables.
"""

from __future__ import annotations

import textwrap
from typing import Any

from audit.core.lazy import lazy
from audit.evidence.certificate import Certificate, ConfigurationResult
from audit.report import reading, wording
from audit.report.exhibit_figure import draw_exhibit
from audit.report.palette import BUDGET_COLOUR, COLOURS, GRID_COLOUR, SHAPES
from audit.report.plane import risk_utility
from audit.report.svg import WIDTH, Drawing, draw_svg

matplotlib = lazy("matplotlib")
patches = lazy("matplotlib.patches")

CONTOUR_MAP = "YlOrBr"
MOST_PANELS = 24  # dose–response panels; with more candidates those with the smallest CUR are drawn
LINE_LENGTH = 36  # of a configuration's label on an axis, at most two lines


def draw_all(certificate: Certificate) -> dict[str, Drawing]:
    """Return the figures by name; one that has nothing to show is left out."""
    drawings = (risk_utility(certificate), cur_by_configuration(certificate), attack_map(certificate))
    found = {d.name: d for d in drawings if d is not None}
    for place, attack in enumerate(reading.dosed(certificate), start=1):
        found[f"doses-{place}"] = dose_response(certificate, attack, f"doses-{place}")
    return found | {d.name: d for d in map(draw_exhibit, certificate.exhibits) if d is not None}


def cur_by_configuration(certificate: Certificate) -> Drawing | None:
    """Draw, smallest CUR first, estimate without attack, estimate under the worst attack, and the bound."""
    shown = reading.by_cur(certificate)
    if not shown:
        return None

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for row, (_, item) in enumerate(shown):
            _bound_row(axes, row, item)
        axes.axvline(100 * certificate.alpha_forget, color=BUDGET_COLOUR, linestyle="--", linewidth=1)
        axes.set_yticks(range(len(shown)), [two_lines(f"{n}: {item.label}") for n, item in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(-2, 102)
        axes.set_xlabel(f"forgetting risk (%); dashed: budget {wording.budget(certificate.alpha_forget)}")
        axes.grid(axis="x", color=GRID_COLOUR, linewidth=0.6)
        axes.set_axisbelow(True)

    description = (
        f"{len(shown)} candidates, smallest CUR first. A line reaches from the estimate under "
        "the worst attack to CUR; a ring marks the estimate without an attack. The table of configurations "
        "holds every number."
    )
    caption = (
        "Filled mark: CUR, the simultaneous upper bound over all attacks; its shape is the verdict. Tick: "
        "estimate under the worst attack. Ring: estimate without an attack. The numbers refer to the table."
    )
    height = 1.1 + 0.32 * len(shown)
    return draw_svg("cur", "CUR of every configuration", description, caption, draw, (WIDTH, height))


def attack_map(certificate: Certificate) -> Drawing | None:
    """Draw upper bounds, configuration by attack, with the number in every cell."""
    columns, rows = reading.columns(certificate), _rows(certificate)
    if not columns or not rows:
        return None

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for y, (_, item) in enumerate(rows):
            for x, column in enumerate(columns):
                _cell(axes, x, y, reading.cell(item, column.attack, column.dose))
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xticks(
            range(len(columns)),
            [c.label.replace(" @", "\n@", 1) for c in columns],
            rotation=40,
            ha="right",
            rotation_mode="anchor",
        )
        axes.set_yticks(range(len(rows)), [two_lines(f"{name}: {item.label}") for name, item in rows])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    description = (
        f"{len(rows)} rows, {len(columns)} attacks and doses. Darker cells have larger upper bounds; a "
        "bold number with a mark exceeds the budget. The table below holds them with their estimates."
    )
    caption = (
        "Upper bound of the forgetting risk in %, each cell a bound of its own at the level of CUR. Bold "
        "with ▲: above the budget. Hatched: not measured. Which attack is worst is observed, not claimed."
    )
    size = (max(WIDTH, 2.9 + 0.55 * len(columns)), 1.3 + 0.32 * len(rows))
    return draw_svg("attack-map", "Upper bounds under each attack", description, caption, draw, size)


def dose_response(certificate: Certificate, attack: str, name: str) -> Drawing:
    """Draw one small panel per candidate: estimate and bounds along the attack's doses."""
    shown = reading.by_cur(certificate)[:MOST_PANELS]
    summary = next((a for a in certificate.attacks if a.attack == attack), None)
    label, unit = (summary.label, summary.dose_unit) if summary else (attack, "dose")
    across = 4
    down = -(-len(shown) // across)

    def draw(figure: Any) -> None:
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for axes, (number, item) in zip(panels.flat, shown, strict=False):
            _dose_panel(axes, certificate, item, attack, two_lines(f"{number}: {item.label}", 27))
        for axes in panels.flat[len(shown) :]:
            axes.set_axis_off()
        for axes in panels.flat[max(len(shown) - across, 0) : len(shown)]:
            axes.tick_params(labelbottom=True)
        figure.supxlabel(f"{label}: {unit} (0: unattacked)", fontsize=9)
        figure.supylabel("forgetting risk (%)", fontsize=9)

    left_out = len(certificate.configurations) - len(shown)
    description = (
        f"{len(shown)} panels, one per candidate: how the forgetting risk grows with {unit} of {label}."
    )
    caption = "Line: estimate. Band: lower and upper bound, each dose by itself. Dashed: budget." + (
        f" The {left_out} candidates with the largest CUR are not drawn." if left_out > 0 else ""
    )
    return draw_svg(
        name, f"Dose and response: {label}", description, caption, draw, (WIDTH, 0.8 + 1.45 * down)
    )


def two_lines(label: str, length: int = LINE_LENGTH) -> str:
    """Return a label broken into at most two lines; the tables hold the whole one."""
    return "\n".join(textwrap.wrap(label, length, max_lines=2, placeholder=" …"))


def _rows(certificate: Certificate) -> list[tuple[int | str, ConfigurationResult]]:
    controls = [("control", c) for c in certificate.references if reading.forgetting(c)]
    return [*reading.numbered(certificate), *controls]


def _bound_row(axes: Any, row: int, item: ConfigurationResult) -> None:
    colour = COLOURS[item.verdict]
    worst, plain = reading.worst(item), reading.unattacked(item)
    if worst is not None and worst.state == "measured":
        axes.plot([100 * worst.estimate, 100 * item.cur], [row, row], color=colour, linewidth=1.6)
        axes.plot(100 * worst.estimate, row, "|", color=colour, markersize=9, markeredgewidth=1.6)
    axes.plot(100 * item.cur, row, SHAPES[item.verdict], color=colour, markersize=6)
    if plain is not None and plain.state == "measured":
        axes.plot(
            100 * plain.estimate, row, "o", markerfacecolor="none", markeredgecolor="#000000", markersize=7
        )


def _cell(axes: Any, x: int, y: int, clause: Any) -> None:
    corner = (x - 0.47, y - 0.45)
    if clause is None or clause.state != "measured":
        axes.add_patch(
            patches.Rectangle(
                corner, 0.94, 0.9, facecolor="#f4f4f4", edgecolor="#999999", hatch="////", linewidth=0
            )
        )
        return
    colour = matplotlib.colormaps[CONTOUR_MAP](0.05 + 0.85 * clause.upper)
    axes.add_patch(patches.Rectangle(corner, 0.94, 0.9, facecolor=colour, edgecolor="none"))
    above = clause.upper > clause.budget
    text = wording.percent_up(clause.upper).removesuffix(f"{wording.SPACE}%")
    red, green, blue, _ = colour
    ink = "#ffffff" if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 < 0.18 else "#000000"
    weight = "bold" if above else "normal"
    axes.text(
        x,
        y,
        f"▲{text}" if above else text,
        ha="center",
        va="center",
        fontsize=8,
        color=ink,
        fontweight=weight,
    )


def _dose_panel(
    axes: Any, certificate: Certificate, item: ConfigurationResult, attack: str, title: str
) -> None:
    points = reading.curve(item, attack)
    colour = COLOURS[item.verdict]
    doses = [0.0 if p.attack == "none" else p.dose for p in points]
    axes.fill_between(
        doses,
        [100 * p.lower for p in points],
        [100 * p.upper for p in points],
        color=colour,
        alpha=0.2,
        linewidth=0,
    )
    axes.plot(
        doses,
        [100 * p.estimate for p in points],
        color=colour,
        marker=SHAPES[item.verdict],
        markersize=4,
        linewidth=1.4,
    )
    axes.axhline(100 * certificate.alpha_forget, color=BUDGET_COLOUR, linestyle="--", linewidth=0.8)
    axes.set_title(title, fontsize=7.5, loc="left")
    axes.set_ylim(-4, 104)
    axes.set_yticks([0, 50, 100])
    if doses:
        axes.set_xticks(doses, [f"{dose:g}" for dose in doses])
    axes.tick_params(labelsize=8)
