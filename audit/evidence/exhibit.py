"""An exhibit: a table, with curves where they help, that stands beside the verdict and never changes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "count", "share", "upper", "lower", "number"]
"""How a value reads: share rounds to nearest, upper and lower away from the estimate, all three in percent."""

Value = str | float | int | None
"""None reads as a dash: there is no such number."""


@dataclass(frozen=True)
class Column:
    """One column of an exhibit's table."""

    title: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Curve:
    """One line of a figure; ``lower`` and ``upper`` are its band, empty without one."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()


@dataclass(frozen=True)
class Figure:
    """Curves over common axes, one panel per ``panel`` label; shares on the y axis are drawn in percent.

    ``ticks`` names the places on an axis of categories. ``budget`` is drawn as a dashed line.
    """

    x_label: str
    y_label: str
    panels: tuple[tuple[str, tuple[Curve, ...]], ...]
    ticks: tuple[tuple[float, str], ...] = ()
    budget: float | None = None
    log_x: bool = False
    percent: bool = True


@dataclass(frozen=True)
class Exhibit:
    """What one way of looking at the audit shows.

    ``claim`` says in a sentence what the numbers claim and at which confidence; ``watermark`` marks numbers
    that must not be quoted as guarantees ("exploration", "if"); ``notes`` say what to keep in mind.
    """

    name: str
    title: str
    claim: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str, ...] = ()
    watermark: str = ""
    figure: Figure | None = None

    def __post_init__(self) -> None:
        ragged = sum(len(row) != len(self.columns) for row in self.rows)
        if ragged:
            raise ValueError(f"{self.name}: {ragged} rows do not have {len(self.columns)} values")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Exhibit:
        """Rebuild an exhibit from the plain object that ``dataclasses.asdict`` made."""
        values = dict(data)
        values["columns"] = tuple(Column(**item) for item in data["columns"])
        values["rows"] = tuple(map(tuple, data["rows"]))
        values["notes"] = tuple(data["notes"])
        values["figure"] = _figure(data["figure"]) if data["figure"] else None
        return cls(**values)


def _figure(data: dict[str, Any]) -> Figure:
    values = dict(data)
    values["panels"] = tuple((str(title), tuple(map(_curve, curves))) for title, curves in data["panels"])
    values["ticks"] = tuple((float(at), str(name)) for at, name in data["ticks"])
    return Figure(**values)


def _curve(data: dict[str, Any]) -> Curve:
    return Curve(data["label"], *(tuple(data[name]) for name in ("x", "y", "lower", "upper")))
