"""Holm and Bonferroni against statsmodels; undefined p-values neither pass nor poison."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from audit.risk.multiplicity.base import PROCEDURES, Procedure

P_VALUES = st.lists(
    st.sampled_from([0.0, 0.001, 0.004, 0.01, 0.02, 0.049, 0.2, 1.0]), min_size=1, max_size=12
)


@pytest.mark.parametrize("name", PROCEDURES.names())
@given(p_values=P_VALUES, absent=st.integers(0, 10))
@settings(max_examples=80, deadline=None)
def test_rejections_equal_statsmodels_with_absent_members_as_one(name, p_values, absent):
    if name not in ("holm", "bonferroni"):
        pytest.skip("no oracle")
    expected = multipletests(p_values + [1.0] * absent, alpha=0.0501, method=name)[0][: len(p_values)]
    rejected = PROCEDURES.build(name).reject(np.array(p_values), 0.0501, len(p_values) + absent)
    assert rejected.tolist() == expected.tolist()


@pytest.mark.parametrize("name", PROCEDURES.names())
def test_an_undefined_p_value_is_one_and_keeps_nobody_else_out(name):
    """A published Holm stops at a NaN and then certifies nothing at all."""
    rejected = PROCEDURES.build(name).reject(np.array([np.nan, 0.0001, np.nan]), 0.05, 5)
    assert rejected.tolist() == [False, True, False]


@pytest.mark.parametrize("name", PROCEDURES.names())
@given(p_values=P_VALUES, absent=st.integers(0, 10))
@settings(max_examples=40, deadline=None)
def test_a_larger_family_never_rejects_more(name, p_values, absent):
    procedure = PROCEDURES.build(name)
    small = procedure.reject(np.array(p_values), 0.05, len(p_values))
    large = procedure.reject(np.array(p_values), 0.05, len(p_values) + absent)
    assert not (large & ~small).any()


def test_holm_stops_at_the_first_failure():
    """.018 fails against .05/3, so .02 is not asked although it lies below .05/2."""
    rejected = PROCEDURES.build("holm").reject(np.array([0.02, 0.018, 0.021]), 0.05, 3)
    assert rejected.tolist() == [False, False, False]


@pytest.mark.parametrize("name", PROCEDURES.names())
def test_every_procedure_keeps_the_protocol_and_takes_an_empty_family(name):
    procedure = PROCEDURES.build(name)
    assert isinstance(procedure, Procedure)
    assert procedure.source
    assert procedure.reject(np.array([]), 0.05, 1).tolist() == []


@pytest.mark.parametrize(
    ("p_values", "delta", "size", "message"),
    [([0.1, 0.2], 0.05, 1, "family of 1"), ([0.1], 1.5, 1, "delta=1.5"), ([-0.1], 0.05, 1, "must be in")],
)
def test_nonsense_is_refused(p_values, delta, size, message):
    for name in PROCEDURES.names():
        with pytest.raises(ValueError, match=message):
            PROCEDURES.build(name).reject(np.array(p_values), delta, size)
