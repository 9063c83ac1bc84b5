"""Rounded bounds never claim more than the bound."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.core.rounding import rounded_down, rounded_up

shares = st.floats(0, 1)


@given(shares)
def test_rounded_up_is_not_below_and_rounded_down_not_above(value):
    exact = Decimal(repr(value))
    assert Decimal(rounded_down(value)) <= exact <= Decimal(rounded_up(value))
    assert Decimal(rounded_up(value)) - exact <= Decimal("0.001")


@pytest.mark.parametrize(
    ("value", "up", "down"), [(1 / 30, "0.034", "0.033"), (0.1, "0.100", "0.100"), (0.0, "0.000", "0.000")]
)
def test_a_number_with_few_digits_stays_itself(value, up, down):
    assert (rounded_up(value), rounded_down(value)) == (up, down)
