"""One row of a data file and its line: a complaint names the line and the field, never the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit.core.errors import AuditError


@dataclass(frozen=True)
class Row:
    """A JSON object and its place: ``place`` reads "line 7", or "row 7" in a JSON array."""

    place: str
    values: dict[str, Any]

    def has(self, field: str) -> bool:
        """Return whether the field is there and neither null nor blank."""
        value = self.values.get(field)
        return value is not None and not (isinstance(value, str) and not value.strip())

    def text(self, field: str) -> str:
        """Return a text that must be there; E104 otherwise."""
        if not self.has(field):
            raise self.complain(f"has no {field!r}")
        return self._typed(field, str, "a text")

    def maybe_text(self, field: str) -> str | None:
        """Return a text, or None where the field is absent, null or blank."""
        return self.text(field) if self.has(field) else None

    def identifier(self, field: str) -> str:
        """Return a name that must be there, a text or a whole number."""
        value = self.values.get(field)
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else self.text(field)

    def texts(self, field: str) -> tuple[str, ...]:
        """Return a list of texts; a single text is a list of one, an absent field an empty list."""
        if not self.has(field):
            return ()
        value = self.values[field]
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):
            raise self.complain(f"needs a text or a list of texts in {field!r}")
        return tuple(items)

    def pairs(self, field: str) -> tuple[tuple[str, str], ...]:
        """Return an object of texts or lists of texts as (name, text) pairs, names in their own order."""
        if not self.has(field):
            return ()
        named = self._typed(field, dict, "an object of texts")
        inner = Row(self.place, named)
        return tuple((name, text) for name in named for text in inner.texts(name))

    def flag(self, field: str) -> bool:
        """Return true or false; an absent field is false."""
        return self.has(field) and self._typed(field, bool, "true or false")

    def bits(self, field: str) -> float | None:
        """Return a number of bits, at least 0, or None where the field is absent."""
        if not self.has(field):
            return None
        value = self.values[field]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self.complain(f"needs a number of at least 0 in {field!r}")
        return float(value)

    def complain(self, about: str) -> AuditError:
        """Return E104 about this row."""
        return AuditError(
            "E104", f"{self.place} {about}", "mend the row; `subject, question, answer` are needed"
        )

    def _typed(self, field: str, kind: type, words: str) -> Any:
        value = self.values[field]
        if not isinstance(value, kind):
            raise self.complain(f"needs {words} in {field!r}")
        return value
