"""Names of fictitious persons from Faker (MIT), every last name once.

A last name that two persons share would let one person's training leak into the other's answers; a name
that is also an answer ("Baker") would give that answer away in the question. Both are drawn again.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any

from audit.core.lazy import lazy
from audit.core.seeds import derive

faker = lazy("faker")

LOCALES = ("en_US", "en_GB", "en_IE")  # pinned: 2,990 last names between them
_REFUSALS_BEFORE_JOINING = 300  # in a row; reached at about 2,800 persons


def draw_names(count: int, seed: int, *, reserved: frozenset[str]) -> list[str]:
    """Return ``count`` full names with pairwise different last names, the same for a seed everywhere.

    ``seed`` is that of the names alone; ``reserved`` holds lower-case words that no name may be.
    """
    sources = cycle([_source(locale, seed) for locale in LOCALES])
    last_names = _last_names(sources, reserved)
    return [f"{_word(sources, 'first_name', reserved)} {next(last_names)}" for _ in range(count)]


def _source(locale: str, seed: int) -> Any:
    # Without weights every name is equally likely; frequent names would run out of unique draws early.
    source = faker.Faker(locale, providers=["faker.providers.person"], use_weighting=False)
    source.seed_instance(derive(seed, "names", locale))
    return source


def _last_names(sources: Iterator[Any], reserved: frozenset[str]) -> Iterator[str]:
    """Yield last names without repetition; doubled ones ("Lowe-Walters") once the single ones are used up."""
    used: set[str] = set()
    refusals = 0
    while True:
        name = _word(sources, "last_name", reserved)
        if refusals >= _REFUSALS_BEFORE_JOINING:
            name = f"{name}-{_word(sources, 'last_name', reserved)}"
        if name in used:
            refusals += 1
            continue
        used.add(name)
        refusals = refusals if "-" in name else 0
        yield name


def _word(sources: Iterator[Any], method: str, reserved: frozenset[str]) -> str:
    while True:
        name = getattr(next(sources), method)()
        if name.isascii() and name.isalpha() and name.lower() not in reserved:
            return name
