"""``report.html``: one self-contained page, no script, nothing fetched, no text of the data.

The answer comes first; every figure has its numbers in a table beside it. The template chooses and formats,
all of it from the one certificate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audit.core.lazy import lazy
from audit.evidence.certificate import Certificate, ClauseResult, ConfigurationResult
from audit.report import figures, reading, wording

jinja2 = lazy("jinja2")
markupsafe = lazy("markupsafe")

TEMPLATE = Path(__file__).with_name("template.html")


def render(certificate: Certificate) -> str:
    """Return the whole report as HTML; the same certificate gives the same bytes."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    drawings = {name: (d, _markup(d.svg)) for name, d in figures.draw_all(certificate).items()}
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return page.render(
        c=certificate,
        drawings=drawings,
        dose_drawings=[name for name in drawings if name.startswith("doses-")],
        columns=reading.columns(certificate),
        reading=reading,
        say=wording,
        zip=zip,
        clauses_of=_clauses,
        colour=lambda verdict: figures.COLOURS[verdict],
    )


def _markup(svg: str) -> Any:
    """Mark our own SVG as safe; everything else is escaped."""
    return markupsafe.Markup(svg)


def _clauses(certificate: Certificate, item: ConfigurationResult) -> list[tuple[str, ClauseResult | None]]:
    """Return the label and the clause of every attack and dose for one configuration."""
    return [(c.label, reading.cell(item, c.attack, c.dose)) for c in reading.columns(certificate)]
