"""What a schema promises: rows in, subjects' probes out; it says what one subject is.

The subject is the unit of inference, so a schema that split one person into questions would make every bound
too narrow. Where a benchmark does not say who a question is about, the question stands for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

from audit.core.errors import AuditError
from audit.core.registry import Registry
from audit.data.benchmarks.rows import Row
from audit.data.records import Probe

Asked: TypeAlias = list[tuple[str, Probe | None]]
"""(subject, probe) row by row; None for a row that names a subject and asks nothing."""


@runtime_checkable
class Schema(Protocol):
    """A published layout of rows.

    ``subject`` says who or what one subject is. ``fields`` names the rows' fields. ``is_guessed``: whether a
    first row that fits may choose this schema by itself; otherwise the plan must name it (``data.format``).
    """

    name: ClassVar[str]
    subject: ClassVar[str]
    fields: ClassVar[str]
    is_guessed: ClassVar[bool]
    source: ClassVar[str]

    def fits(self, row: Row) -> bool:
        """Return whether the row has the schema's fields."""
        ...

    def read(self, rows: Sequence[Row]) -> Asked:
        """Return (subject, probe) row by row; raises E104 for a broken row."""
        ...


SCHEMAS: Registry[Schema] = Registry("data format", "audit.data.benchmarks")


def choose(first: Row, wanted: str | None) -> Schema:
    """Return the schema ``wanted``, or the one that the first row fits.

    E104 no schema fits · E110 to E112 no such schema · E250 the first row is none of the schema wanted.
    """
    if wanted is not None:
        schema = SCHEMAS.build(wanted)
        if not schema.fits(first):
            raise AuditError(
                "E250",
                f"{first.place} is no row of {wanted}",
                f"its fields are {schema.fields}; or drop `format`",
            )
        return schema
    guessed = [name for name in SCHEMAS if SCHEMAS[name].is_guessed and SCHEMAS[name]().fits(first)]
    if not guessed:
        missing = next((field for field in ("question", "answer") if field not in first.values), "subject")
        known = ", ".join(SCHEMAS)
        raise first.complain(f"has no {missing!r}, and is no row of a known format either ({known})")
    return SCHEMAS[guessed[0]]()


def schemas_table() -> list[dict[str, Any]]:
    """Return one row per schema, sorted by name: what one subject is, the fields, the source."""
    return [
        {
            "format": name,
            "about": (SCHEMAS[name].__doc__ or "").partition("\n")[0],
            "subject": SCHEMAS[name].subject,
            "fields": SCHEMAS[name].fields,
            "guessed": SCHEMAS[name].is_guessed,
            "source": SCHEMAS[name].source,
        }
        for name in SCHEMAS
    ]
