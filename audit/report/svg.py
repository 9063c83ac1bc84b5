"""From a matplotlib figure to an SVG that may stand inside a page.

The same figure gives the same bytes: a fixed salt for identifiers, no date, no creator, default settings
whatever the machine's own are. Text stays text, so that it can be read aloud, searched and checked for leaks.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

from audit.core.lazy import lazy

matplotlib = lazy("matplotlib")
figure_module = lazy("matplotlib.figure")

WIDTH = 8.2  # inches: fills a page on screen and on A4 paper

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "unlearn-audit",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class Drawing:
    """One figure: ``svg`` carries title and description inside; ``caption`` says what its marks mean."""

    name: str
    title: str
    description: str
    caption: str
    svg: str


def draw_svg(
    name: str,
    title: str,
    description: str,
    caption: str,
    draw: Callable[[Any], None],
    size: tuple[float, float],
) -> Drawing:
    """Return what ``draw`` puts on an empty figure of ``size`` inches, wide and high."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        figure = figure_module.Figure(figsize=size)
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    return Drawing(name, title, description, caption, _inline(buffer.getvalue(), name, title, description))


def _inline(svg: str, name: str, title: str, description: str) -> str:
    """Fit a stand-alone SVG into a page: no prologue, no addresses, identifiers of its own, a title."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r' xmlns(:xlink)?="[^"]*"', "", body).replace("xlink:href", "href")
    body = re.sub(r"font-family: [^;\"]*", "font-family: 'DejaVu Sans', Verdana, sans-serif", body)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = body.replace('<style type="text/css">*{', f"<style>#{name} *{{", 1)
    head = f'<svg id="{name}" role="img" aria-labelledby="{name}-title {name}-desc"'
    inside = (
        f'<title id="{name}-title">{escape(title, quote=False)}</title>'
        f'<desc id="{name}-desc">{escape(description, quote=False)}</desc>'
    )
    body = body.replace("<svg", head, 1)
    start = body.index(">") + 1
    return body[:start] + inside + body[start:]
