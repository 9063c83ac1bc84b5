"""Altair charts of one certificate; shapes as well as colours, percent on every axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit.core.lazy import lazy
from audit.evidence.certificate import Certificate, ConfigurationResult, Verdict
from audit.report import reading, wording
from audit.report.figures import MOST_PANELS
from audit.report.palette import BUDGET_COLOUR, COLOURS, CONTROL_COLOUR

alt = lazy("altair")

_SHAPES = {
    Verdict.PASS: "circle",
    Verdict.FAIL: "cross",
    Verdict.INCONCLUSIVE: "diamond",
    Verdict.RUN_ERROR: "triangle-up",
    Verdict.INTEGRITY: "square",
}
_ROW_PIXELS = 24
_LABEL_PIXELS = 320
_PANEL_PIXELS = 220
_INK = "#333333"  # Streamlit's own grey is too light for small labels
_INK_CHANGES_AT = 78  # percent: white on the darker half of the map


def plane(certificate: Certificate) -> Any:
    """Rectangles of utility harm (across) and forgetting risk (upwards), with the controls."""
    across = wording.words(certificate.utility_loss)
    x_axis = _root_axis("x", f"{across} on retained subjects (%)")
    y_axis = _root_axis("y", "forgetting risk, worst attack (%)")
    candidates = [_plane_row(str(n), c) for n, c in reading.numbered(certificate) if reading.has_utility(c)]
    controls = [_plane_row(c.role, c) for c in certificate.references if reading.has_utility(c)]
    base = alt.Chart(_data(candidates))
    colour, shape = _verdict_scales(certificate)
    tooltip = ["configuration:N", "verdict:N", "risk:N", alt.Tooltip("harm:N", title=across)]
    edge = alt.Stroke("verdict:N", scale=_colours(certificate), legend=None)
    sides = {"x": x_axis("harm_lower"), "x2": "harm_upper", "y": y_axis("risk_lower"), "y2": "risk_upper"}
    boxes = base.mark_rect(fillOpacity=0.08, strokeWidth=1)
    rectangles = boxes.encode(**sides, color=colour, stroke=edge, tooltip=tooltip)
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        x=x_axis("x"), y=y_axis("y"), color=colour, shape=shape, tooltip=tooltip
    )
    numbers = base.mark_text(dx=10, dy=-8, fontSize=11).encode(x=x_axis("x"), y=y_axis("y"), text="name:N")
    known = alt.Chart(_data(controls))
    # Hollow, so that a candidate at the same place is not hidden.
    hollow = known.mark_point(size=180, strokeWidth=2, opacity=1, shape="triangle-down", color=CONTROL_COLOUR)
    marks = hollow.encode(x=x_axis("x"), y=y_axis("y"), tooltip=tooltip)
    names = known.mark_text(dx=9, dy=7, align="left", color=CONTROL_COLOUR).encode(
        x=x_axis("x"), y=y_axis("y"), text="name:N"
    )
    layers = alt.layer(*_budgets(certificate, x_axis, y_axis), rectangles, points, numbers, marks, names)
    return _readable(layers.properties(height=560))


def cur(certificate: Certificate, alpha_forget: float, listed: Sequence[ConfigurationResult]) -> Any:
    """CUR of every candidate, smallest first, with a line at the budget of the slider."""
    rows = [_cur_row(number, item, item in listed) for number, item in reading.by_cur(certificate)]
    colour, shape = _verdict_scales(certificate)
    base = alt.Chart(_data(rows))
    y = alt.Y(
        "configuration:N",
        sort=None,
        title=None,
        axis=alt.Axis(labelLimit=_LABEL_PIXELS, labelOverlap=False, labelFlush=False, grid=False),
    )
    x = {"scale": alt.Scale(domain=[0, 100]), "title": "forgetting risk (%)"}
    tooltip = ["configuration:N", "verdict:N", "CUR:N", "unattacked:N", "listed:N"]
    span = base.mark_rule(strokeWidth=2).encode(y=y, x=alt.X("estimate:Q", **x), x2="cur", color=colour)
    seen = base.mark_tick(thickness=2, size=12).encode(y=y, x=alt.X("estimate:Q", **x), color=colour)
    plain = base.transform_filter("datum.plain != null").mark_point(size=60, color="#000000").encode(
        y=y, x=alt.X("plain:Q", **x), tooltip=tooltip
    )  # fmt: skip
    bound = base.mark_point(size=90, filled=True, opacity=1).encode(
        y=y, x=alt.X("cur:Q", **x), color=colour, shape=shape, tooltip=tooltip
    )
    slider = alt.Chart(_data([{"budget": 100 * alpha_forget}]))
    line = slider.mark_rule(strokeDash=[6, 4], color=BUDGET_COLOUR).encode(x=alt.X("budget:Q", **x))
    layers = alt.layer(line, span, seen, plain, bound)
    return _readable(layers.properties(height=60 + _ROW_PIXELS * len(rows)))


def attack_map(certificate: Certificate) -> Any:
    """Upper bounds, configuration by attack; the number stands in every cell."""
    columns = reading.columns(certificate)
    names = [(f"{number}: {item.label}", item) for number, item in reading.numbered(certificate)]
    names += [(f"control: {item.role}", item) for item in certificate.references]
    rows = [_map_row(name, item, c) for name, item in names for c in columns]
    base = alt.Chart(_data(rows)).encode(
        x=alt.X(
            "attack:N",
            sort=None,
            title=None,
            axis=alt.Axis(labelAngle=-30, labelLimit=200, labelOverlap=False, orient="top"),
        ),
        y=alt.Y(
            "configuration:N",
            sort=None,
            title=None,
            axis=alt.Axis(labelLimit=_LABEL_PIXELS, labelOverlap=False, labelFlush=False),
        ),
        tooltip=["configuration:N", "attack:N", "result:N"],
    )
    scale = alt.Scale(scheme="yelloworangebrown", domain=[0, 100])
    fill = alt.condition(
        "datum.upper == null",
        alt.value("#f0f0f0"),
        alt.Color("upper:Q", scale=scale, title="upper bound (%)"),
    )
    ink = alt.condition(f"datum.upper > {_INK_CHANGES_AT}", alt.value("#ffffff"), alt.value("#000000"))
    cells = base.mark_rect(stroke="#ffffff").encode(color=fill)
    texts = base.mark_text(fontSize=12).encode(text="text:N", color=ink)
    return _readable(alt.layer(cells, texts).properties(height=110 + _ROW_PIXELS * len(names)))


def doses(certificate: Certificate, attack: str) -> Any:
    """One small panel per candidate: estimate and bounds along an attack's doses, dose 0 unattacked."""
    shown = reading.by_cur(certificate)[:MOST_PANELS]
    titles = [f"{number}: {item.label}" for number, item in shown]
    rows = [
        row
        for title, (_, item) in zip(titles, shown, strict=True)
        for row in _dose_rows(certificate, title, item, attack)
    ]
    unit = next((a.dose_unit for a in certificate.attacks if a.attack == attack), "dose")
    colour, shape = _verdict_scales(certificate)
    x = alt.X("dose:Q", title=unit, axis=alt.Axis(grid=False, tickCount=4))
    risk = {"scale": alt.Scale(domain=[0, 100]), "axis": alt.Axis(values=[0, 50, 100]), "title": "risk (%)"}
    base = alt.Chart()
    band = base.mark_area(opacity=0.2).encode(x=x, y=alt.Y("lower:Q", **risk), y2="upper", color=colour)
    line = base.mark_line().encode(x=x, y=alt.Y("estimate:Q", **risk), color=colour)
    dots = base.mark_point(filled=True, opacity=1).encode(
        x=x, y=alt.Y("estimate:Q", **risk), color=colour, shape=shape, tooltip=["configuration:N", "result:N"]
    )
    # One line per panel: a rule for every row would be drawn over itself until its dashes close.
    rule = base.mark_rule(strokeDash=[4, 3], color=BUDGET_COLOUR).encode(y=alt.Y("mean(budget):Q", **risk))
    panel = alt.layer(rule, band, line, dots, data=_data(rows)).properties(width=_PANEL_PIXELS, height=110)
    header = alt.Header(title=None, labelLimit=_PANEL_PIXELS, labelAnchor="start")
    return _readable(panel.facet(alt.Facet("configuration:N", sort=titles, header=header), columns=3))


def _readable(chart: Any) -> Any:
    ink = {"labelColor": _INK, "titleColor": _INK}
    return (
        chart.configure_axis(**ink).configure_header(labelColor=_INK).configure_legend(symbolOpacity=1, **ink)
    )


def _data(rows: list[dict[str, Any]]) -> Any:
    return alt.Data(values=rows)


def _verdict_scales(certificate: Certificate) -> tuple[Any, Any]:
    present = _present(certificate)
    shapes = alt.Scale(domain=[str(v) for v in present], range=[_SHAPES[v] for v in present])
    legend = alt.Legend(orient="top", title=None)
    return alt.Color("verdict:N", scale=_colours(certificate), legend=legend), alt.Shape(
        "verdict:N", scale=shapes, legend=legend
    )


def _colours(certificate: Certificate) -> Any:
    present = _present(certificate)
    return alt.Scale(domain=[str(v) for v in present], range=[COLOURS[v] for v in present])


def _present(certificate: Certificate) -> list[Verdict]:
    return [v for v in Verdict if any(c.verdict is v for c in certificate.configurations)]


def _root_axis(channel: str, title: str) -> Any:
    kind = alt.X if channel == "x" else alt.Y
    scale = alt.Scale(type="sqrt", domain=[0, 100])
    axis = alt.Axis(values=[0, 1, 2, 5, 10, 20, 30, 40, 50, 60, 80, 100])
    return lambda field: kind(f"{field}:Q", scale=scale, axis=axis, title=title)


def _budgets(certificate: Certificate, x_axis: Any, y_axis: Any) -> list[Any]:
    row = {"zero": 0, "x": 100 * certificate.alpha_utility, "y": 100 * certificate.alpha_forget}
    base = alt.Chart(_data([row]))
    corner = base.mark_rect(color="#00695c", opacity=0.1).encode(
        x=x_axis("zero"), x2="x", y=y_axis("zero"), y2="y"
    )
    line = {"strokeDash": [6, 4], "color": BUDGET_COLOUR}
    return [
        corner,
        base.mark_rule(**line).encode(x=x_axis("x")),
        base.mark_rule(**line).encode(y=y_axis("y")),
    ]


def _plane_row(name: str, item: ConfigurationResult) -> dict[str, Any]:
    worst = reading.worst(item)
    return {
        "name": name,
        "configuration": item.label,
        "verdict": str(item.verdict),
        "x": 100 * item.utility_estimate,
        "y": 100 * (worst.estimate if worst else item.cur),
        "risk_lower": 100 * item.rectangle[0],
        "risk_upper": 100 * item.rectangle[1],
        "harm_lower": 100 * item.rectangle[2],
        "harm_upper": 100 * item.rectangle[3],
        "risk": wording.measured(worst),
        "harm": wording.measured(reading.utility(item)),
    }


def _cur_row(number: int, item: ConfigurationResult, listed: bool) -> dict[str, Any]:
    worst, plain = reading.worst(item), reading.unattacked(item)
    return {
        "configuration": f"{'✓ ' if listed else ''}{number}: {item.label}",
        "verdict": str(item.verdict),
        "cur": 100 * item.cur,
        "estimate": 100 * (worst.estimate if worst and worst.state == "measured" else item.cur),
        "plain": 100 * plain.estimate if plain and plain.state == "measured" else None,
        "CUR": wording.bound(item),
        "unattacked": wording.measured(plain),
        "listed": "in the valid set at this budget" if listed else "not listed at this budget",
    }


def _map_row(name: str, item: ConfigurationResult, column: reading.Column) -> dict[str, Any]:
    clause = reading.cell(item, column.attack, column.dose)
    row = {"configuration": name, "attack": column.label, "upper": None, "text": "–"}
    if clause is not None and clause.state == "measured":
        row["upper"] = 100 * clause.upper
        text = wording.percent_up(clause.upper).removesuffix(f"{wording.SPACE}%")
        row["text"] = f"▲ {text}" if clause.upper > clause.budget else text
    return row | {"result": wording.measured(clause)}


def _dose_rows(
    certificate: Certificate, title: str, item: ConfigurationResult, attack: str
) -> list[dict[str, Any]]:
    return [
        {
            "configuration": title,
            "verdict": str(item.verdict),
            "dose": 0.0 if clause.attack == "none" else clause.dose,
            "estimate": 100 * clause.estimate,
            "lower": 100 * clause.lower,
            "upper": 100 * clause.upper,
            "budget": 100 * certificate.alpha_forget,
            "result": wording.measured(clause),
        }
        for clause in reading.curve(item, attack)
    ]
