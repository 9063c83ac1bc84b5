"""Which questions are about one author of TOFU: consecutive blocks of 20 (Maini et al., arXiv:2401.06121)."""

from __future__ import annotations

QUESTIONS_PER_AUTHOR = 20


def author_of(index: int) -> int:
    """Return the author's position in its list for the row ``index`` (from 0) of a TOFU list."""
    if index < 0:
        raise ValueError(f"a row of a TOFU list has an index >= 0, got {index}")
    return index // QUESTIONS_PER_AUTHOR
