"""The mean that punishes one bad part: harmonic, 0 as soon as one value is 0."""

from __future__ import annotations

from collections.abc import Iterable


def harmonic_mean(values: Iterable[float]) -> float:
    """Return n / sum(1/v) of values >= 0, the limit 0 where one of them is 0; ValueError without values."""
    numbers = [float(value) for value in values]
    if not numbers or min(numbers) < 0:
        raise ValueError(
            f"a harmonic mean needs values >= 0, got {len(numbers)} with minimum {min(numbers, default=0)}"
        )
    return 0.0 if min(numbers) == 0 else len(numbers) / sum(1 / number for number in numbers)
