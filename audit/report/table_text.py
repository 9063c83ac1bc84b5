"""A registry's table as text for a terminal or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audit.core.lazy import lazy

console = lazy("rich.console")
table = lazy("rich.table")


def table_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], width: int | None) -> str:
    """Return ``rows`` under ``columns``, cells folded to ``width`` characters (None: the terminal's)."""
    drawn = table.Table(show_edge=False, pad_edge=False)
    for number, name in enumerate(columns):
        drawn.add_column(name.replace("_", " "), overflow="fold", no_wrap=number == 0)
    for row in rows:
        drawn.add_row(*(_cell(row[name]) for name in columns))
    screen = console.Console(width=width)
    with screen.capture() as captured:
        screen.print(drawn)
    return captured.get().rstrip("\n")


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_cell(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return "yes" if value is True else "no" if value is False else "∞" if value is None else str(value)
