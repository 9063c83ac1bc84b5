"""Rounding that never claims more than the number does: upper bounds up, lower bounds down."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


def rounded_up(value: float, digits: int = 3) -> str:
    """Return the smallest decimal with ``digits`` places that is not below ``value``."""
    return _rounded(value, digits, ROUND_CEILING)


def rounded_down(value: float, digits: int = 3) -> str:
    """Return the largest decimal with ``digits`` places that is not above ``value``."""
    return _rounded(value, digits, ROUND_FLOOR)


def _rounded(value: float, digits: int, mode: str) -> str:
    # repr, not the binary value: 0.1 is meant where 0.1000000000000000055 is stored.
    return str(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-digits), rounding=mode))
