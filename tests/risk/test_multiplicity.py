"""What every procedure promises, and Holm and Bonferroni against statsmodels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from audit.core.errors import AuditError
from audit.risk.multiplicity.base import PROCEDURES, Procedure

WITHOUT_PARAMETERS = [
    name for name in PROCEDURES.names() if name != "graph"
]  # a graph has as many places as K
P_VALUES = st.lists(
    st.sampled_from([0.0, 0.001, 0.004, 0.01, 0.02, 0.049, 0.2, 1.0]), min_size=1, max_size=12
)
every = pytest.mark.parametrize("name", WITHOUT_PARAMETERS)


def reject(name, p_values, delta, size=None, order=None):
    """Return a list of bool; ordered procedures take the rows as they stand unless told otherwise."""
    procedure = PROCEDURES.build(name)
    if procedure.ordered and order is None:
        order = range(len(p_values))
    return procedure.reject(np.array(p_values), delta, size or max(len(p_values), 1), order).tolist()


@pytest.mark.parametrize("name", ["holm", "bonferroni"])
@given(p_values=P_VALUES, absent=st.integers(0, 10))
@settings(max_examples=80, deadline=None)
def test_rejections_equal_statsmodels_with_absent_members_as_one(name, p_values, absent):
    expected = multipletests(p_values + [1.0] * absent, alpha=0.0501, method=name)[0][: len(p_values)]
    assert reject(name, p_values, 0.0501, len(p_values) + absent) == expected.tolist()


@every
def test_an_undefined_p_value_is_one_and_keeps_nobody_else_out(name):
    """A published Holm stops at a NaN and then certifies nothing at all."""
    assert reject(name, [np.nan, 0.0001, np.nan], 0.05, 5, (1, 0, 2)) == [False, True, False]


@every
def test_an_undefined_p_value_is_never_rejected(name):
    assert reject(name, [np.nan] * 4, 0.999) == [False] * 4


@every
@given(p_values=P_VALUES, absent=st.integers(0, 10), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_larger_family_never_rejects_more(name, p_values, absent, seed):
    order = np.random.default_rng(seed).permutation(len(p_values)).tolist()
    small = np.array(reject(name, p_values, 0.05, None, order))
    large = np.array(reject(name, p_values, 0.05, len(p_values) + absent, order))
    assert not (large & ~small).any()


@every
@given(p_values=P_VALUES, at=st.integers(0, 11), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_larger_p_value_never_rejects_more_and_a_larger_delta_never_less(name, p_values, at, seed):
    order = np.random.default_rng(seed).permutation(len(p_values)).tolist()
    raised = list(p_values)
    raised[at % len(raised)] = 1.0
    base = np.array(reject(name, p_values, 0.05, None, order))
    assert not (np.array(reject(name, raised, 0.05, None, order)) & ~base).any()
    assert not (base & ~np.array(reject(name, p_values, 0.08, None, order))).any()


def test_holm_stops_at_the_first_failure():
    """.018 fails against .05/3, so .02 is not asked although it lies below .05/2."""
    assert reject("holm", [0.02, 0.018, 0.021], 0.05) == [False, False, False]


@every
def test_every_procedure_keeps_the_protocol_and_takes_an_empty_family(name):
    procedure = PROCEDURES.build(name)
    assert isinstance(procedure, Procedure)
    assert procedure.source
    assert reject(name, [], 0.05) == []


@pytest.mark.parametrize(
    ("p_values", "delta", "size", "message"),
    [([0.1, 0.2], 0.05, 1, "family of 1"), ([0.1], 1.5, 1, "delta=1.5"), ([-0.1], 0.05, 1, "must be in")],
)
@every
def test_nonsense_is_refused(name, p_values, delta, size, message):
    with pytest.raises(ValueError, match=message):
        reject(name, p_values, delta, size)


@pytest.mark.parametrize("name", [n for n in WITHOUT_PARAMETERS if PROCEDURES[n].ordered])
@pytest.mark.parametrize("order", [None, (0, 0, 1), (0, 1), (1, 2, 3)])
def test_an_ordered_procedure_refuses_to_run_without_a_permutation_of_the_rows(name, order):
    with pytest.raises(ValueError, match=r"needs an order of the 3 rows|permutation of the 3 rows"):
        PROCEDURES.build(name).reject(np.array([0.1, 0.1, 0.1]), 0.05, 3, order)


@pytest.mark.parametrize(
    "text",
    [
        "graphical(insurance=1.2)",
        "graphical(insurance=-0.1)",
        "fallback(shares=[0.6, 0.6])",
        "fallback(shares=[-0.1, 0.5])",
        "fallback(shares=[])",
        "fallback(shares=half)",
        "graph([0.6, 0.6], [[0, 1], [1, 0]])",
        "graph([0.5, 0.5], [[0, 1.1], [1, 0]])",
        "graph([0.5, 0.5], [[0.5, 0.5], [1, 0]])",
        "graph([0.5, 0.5], [[0, 1]])",
        "graph([0.5, 0.5], [[0], [1, 0]])",
        "graph([-0.5, 0.5], [[0, 1], [1, 0]])",
    ],
)
def test_parameters_that_would_spend_more_than_delta_are_refused(text):
    with pytest.raises(AuditError) as caught:
        PROCEDURES.build(text)
    assert caught.value.code == "E112"
