"""Whatever stands in audit/metrics/aggregates is held to this; a new aggregate needs no edit here."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from audit.core.errors import AuditError
from audit.core.registry import canonical
from audit.metrics.aggregates.base import AGGREGATES, Aggregate


def drawn(aggregate: Aggregate, seed: int) -> dict[str, np.ndarray]:
    """Return random inputs inside their ranges: shares, or numbers up to 1e3 where a side is open."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, wanted in aggregate.inputs.items():
        low = -1e3 if wanted.low is None else wanted.low
        high = 1e3 if wanted.high is None else wanted.high
        found[name] = rng.uniform(low, high, size=(int(rng.integers(1, 9)), 16))
    return found


@pytest.fixture(params=list(AGGREGATES))
def aggregate(request) -> Aggregate:
    return AGGREGATES.build(request.param)


def refused(aggregate: Aggregate, scores) -> AuditError:
    with pytest.raises(AuditError) as caught:
        aggregate.table(scores)
    return caught.value


def test_numbers_are_finite_and_in_range(aggregate):
    low, high = ((-np.inf, np.inf)[i] if bound is None else bound for i, bound in enumerate(aggregate.range))
    for seed in range(50):
        found = aggregate.table(drawn(aggregate, seed))
        assert found
        for value in found.values():
            assert type(value) is float
            assert math.isfinite(value)
            assert low - 1e-9 <= value <= high + 1e-9


def test_nothing_stands_in_for_a_missing_input(aggregate):
    scores = drawn(aggregate, 1)
    for name in aggregate.inputs:
        error = refused(aggregate, {k: v for k, v in scores.items() if k != name})
        assert error.code == "E350"
        assert name in error.cause


@pytest.mark.parametrize("bad", [np.nan, np.inf, None])
def test_a_value_that_is_no_number_and_a_list_without_values_are_refused(aggregate, bad):
    for name, values in drawn(aggregate, 2).items():
        broken = (
            values[:0]
            if bad is None
            else np.where(np.arange(values.size).reshape(values.shape) == 3, bad, values)
        )
        assert refused(aggregate, {**drawn(aggregate, 2), name: broken}).code == "E351"


def test_values_outside_an_input_s_range_are_refused(aggregate):
    for name, wanted in aggregate.inputs.items():
        ends = ([] if wanted.low is None else [wanted.low - 1]) + (
            [] if wanted.high is None else [wanted.high + 1]
        )
        for outside in ends:
            scores = drawn(aggregate, 3)
            assert refused(aggregate, {**scores, name: np.append(scores[name], outside)}).code == "E352"


def test_an_input_that_nobody_reads_is_refused(aggregate):
    assert refused(aggregate, {**drawn(aggregate, 4), "something_else": np.zeros(2)}).code == "E354"


def test_inputs_stay_as_they_were_and_the_same_inputs_give_the_same_numbers(aggregate):
    scores = drawn(aggregate, 5)
    before = {name: values.copy() for name, values in scores.items()}
    assert aggregate.table(scores) == aggregate.table(scores)
    assert all(np.array_equal(scores[name], before[name]) for name in scores)


def test_an_aggregate_keeps_its_promises_in_form(aggregate):
    assert isinstance(aggregate, Aggregate)
    assert type(aggregate.version) is int
    assert aggregate.version >= 1
    assert aggregate.better in ("higher", "lower", "zero")
    assert aggregate.status in ("reproduced", "paper", "experimental")
    assert aggregate.source
    assert aggregate.inputs
    assert AGGREGATES.build(canonical(aggregate)) == aggregate
    with pytest.raises(dataclasses.FrozenInstanceError):
        aggregate.extra = 1
