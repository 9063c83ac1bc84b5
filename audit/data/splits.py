"""Dealing subjects into splits: by chance, by subject, disjoint by construction.

The list is sorted first, so the deal depends on who is in it and on the seed, never on the order of a
file. Each side is dealt on its own: tune before training, calibrate and sealed from a seed that exists
only afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from audit.core.errors import AuditError
from audit.core.seeds import generator
from audit.data.records import Subject
from audit.measurements.table import SPLITS


def deal(
    subjects: Iterable[Subject | str], sizes: Mapping[str, int], seed: int | str
) -> dict[str, tuple[str, int]]:
    """Return subject -> (split, order); ``order`` counts from 0 and is the audit's one random order.

    ``subjects`` are one side, as records or identifiers, none twice; ``sizes`` maps splits to numbers of
    subjects. Subjects beyond the sum are left out of the answer; E108 when there are too few.
    """
    names = _sorted_names(subjects)
    odd = sorted(set(sizes) - set(SPLITS))
    if odd or any(size < 0 for size in sizes.values()):
        raise ValueError(f"sizes map {', '.join(SPLITS)} to counts >= 0, got {dict(sizes)}")
    asked = sum(sizes.values())
    if asked > len(names):
        planned = " + ".join(f"{sizes[split]} {split}" for split in SPLITS if split in sizes)
        raise AuditError(
            "E108",
            f"the split asks for {asked} units ({planned}), there are {len(names)}",
            "lower `sizes` or add units",
        )
    shuffled = (names[i] for i in generator(seed, "deal").permutation(len(names)))
    places = [(split, order) for split in SPLITS for order in range(sizes.get(split, 0))]
    return {name: place for place, name in zip(places, shuffled, strict=False)}


def halves(subjects: Iterable[Subject | str], seed: int | str) -> dict[str, int]:
    """Return subject -> 1 | 2, two random halves; with an odd number the first has one more."""
    names = _sorted_names(subjects)
    shuffled = generator(seed, "halves").permutation(len(names))
    return {names[i]: 1 + place % 2 for place, i in enumerate(shuffled)}


def _sorted_names(subjects: Iterable[Subject | str]) -> list[str]:
    names = sorted(s if isinstance(s, str) else s.subject for s in subjects)
    if len(set(names)) < len(names):
        raise ValueError(f"{len(names) - len(set(names))} subjects stand in the list twice")
    return names
