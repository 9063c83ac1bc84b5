"""The fewest units for a claim, against the inequality itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.risk.estimands import least_units


@pytest.mark.parametrize(
    ("alpha", "delta", "n"),
    # (1 - alpha)^n <= delta; STATISTICS section 5 for the first three. 1/2 and 1/4 meet it exactly at two.
    [(0.1, 0.05, 29), (0.05, 0.05, 59), (0.01, 0.05, 299), (0.5, 0.25, 2), (0.9, 0.1, 1), (0.3, 0.9, 1)],
)
def test_known_numbers_of_units(alpha, delta, n):
    assert least_units(alpha, delta) == n


@given(alpha=st.floats(0.02, 0.95), delta=st.floats(0.001, 0.5))
@settings(max_examples=60, deadline=None)
def test_no_smaller_number_would_do(alpha, delta):
    n = least_units(alpha, delta)
    assert (1 - alpha) ** n <= delta * (1 + 1e-12)
    assert n == 1 or (1 - alpha) ** (n - 1) > delta * (1 - 1e-12)


@pytest.mark.parametrize(("alpha", "delta"), [(0.0, 0.05), (1.0, 0.05), (0.1, 0.0), (0.1, 1.0)])
def test_nonsense_is_refused(alpha, delta):
    with pytest.raises(ValueError, match="must be in"):
        least_units(alpha, delta)
