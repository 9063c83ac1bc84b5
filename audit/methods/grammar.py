"""The grammar of recipes, ``method * weighting + step @scope at 30 > post``, cut at signs outside brackets and quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from audit.core.errors import AuditError

_FORM = "write method * weighting + step @scope > post-calibration, in this order; only the method has to be there"
_RANKS = {"*": 0, "+": 1, "@": 2, ">": 3}
_ONCE = "*@>"
_AT = re.compile(r"(.*\S)\s+at\s+(\S+)", re.DOTALL)
_NO_STEP = re.compile(r".*\S\s+at\s*", re.DOTALL)


class Parts(NamedTuple):
    """The texts of a recipe's parts; left out, ``scope`` is ``all``, ``weighting`` and ``post`` are empty.

    ``at`` is the step after which the training stops, None where it runs to its end.
    """

    method: str
    weighting: str
    steps: tuple[str, ...]
    scope: str
    post: str
    at: int | None = None


def split(text: str) -> Parts:
    """Return the parts of a recipe; E260 where one is empty, doubled or out of order, E464 where ``at`` is."""
    pieces, at = _without_at(list(_pieces(text)))
    signs = "".join(sign for sign, _ in pieces[1:])
    ranks = [_RANKS[sign] for sign in signs]
    if ranks != sorted(ranks) or any(signs.count(sign) > 1 for sign in _ONCE):
        raise AuditError("E260", f"the signs of {text.strip()!r} stand as {' '.join(signs)}", _FORM)
    empty = [sign for sign, part in pieces if not part]
    if pieces[0][1] and empty:
        raise AuditError("E260", f"nothing stands behind {empty[0]} in {text.strip()!r}", _FORM)
    by_sign = {sign: [part for found, part in pieces[1:] if found == sign] for sign in _RANKS}
    (weighting,), (scope,), (post,) = (
        by_sign[sign] or [left] for sign, left in (("*", ""), ("@", "all"), (">", ""))
    )
    return Parts(pieces[0][1], weighting, tuple(by_sign["+"]), scope, post, at)


def _without_at(pieces: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], int | None]:
    """Return the pieces with ``at 30`` taken off the last one before ``>``, and the step."""
    last = max((number for number, (sign, _) in enumerate(pieces) if sign != ">"), default=0)
    for _, part in pieces:
        if _NO_STEP.fullmatch(part):
            raise AuditError("E464", f"nothing stands behind at in {part!r}", "write the step, as in at 30")
    found = {number: match for number, (_, part) in enumerate(pieces) if (match := _AT.fullmatch(part))}
    if not found:
        return pieces, None
    (number, match), *others = found.items()
    if others or number != last or not match[2].isdecimal():
        raise AuditError(
            "E464",
            f"{match[0]!r} does not say after which step the training stops",
            "write at 30, a whole number, behind method, steps and scope and before >",
        )
    return [(s, match[1] if n == number else part) for n, (s, part) in enumerate(pieces)], int(match[2])


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield (sign before it, piece); the first has no sign."""
    depth, quote, sign, start = 0, "", "", 0
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter in _RANKS and depth == 0:
            yield sign, text[start:index].strip()
            sign, start = letter, index + 1
    yield sign, text[start:].strip()
