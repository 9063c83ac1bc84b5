"""Every registered bound is held to its promise; nobody edits this file to add one.

Monte-Carlo cells here are small (the seeds are fixed, so they cannot flicker); tests/validity repeats them
with 10,000 replications.
"""

import dataclasses
from math import log

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from audit.risk.bounds.base import BOUNDS, Bound, Sample, build
from audit.risk.bounds.bets import peak, predictable
from audit.risk.validation.coverage import Setting as Cell
from audit.risk.validation.coverage import bound_misses
from audit.risk.validation.judging import too_often

ROUNDING = 1e-9
LEVEL = 0.05
GRADED_LAWS = ("bernoulli", "beta, wide", "0 and 1/2", "zero-inflated")

names = pytest.mark.parametrize("name", BOUNDS.names())


def cells(name):
    bound = build(name, LEVEL)
    for design in sorted(bound.designs):
        laws = ("bernoulli",) if bound.binary else GRADED_LAWS
        yield from (Cell(design, law, n=40, population=50) for law in laws)


def losses_for(bound):
    values = (
        st.sampled_from([0.0, 1.0]) if bound.binary else st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0])
    )
    return st.lists(values, min_size=1, max_size=40).map(np.array)


def sample_of(bound, losses, spare):
    return Sample(losses, len(losses) + spare if "list" in bound.designs else None)


@names
def test_a_bound_is_a_frozen_record_that_names_its_theorem_and_its_designs(name):
    bound = build(name, LEVEL)
    assert isinstance(bound, Bound)
    assert dataclasses.is_dataclass(bound)
    assert type(bound).__dataclass_params__.frozen
    assert bound.source
    assert bound.designs
    assert bound.designs <= {"draws", "list", "random list"}


@pytest.mark.parametrize(
    ("name", "cell"), [pytest.param(n, c, id=f"{n}: {c.label}") for n in BOUNDS.names() for c in cells(n)]
)
def test_bounds_miss_the_true_risk_no_more_often_than_promised(name, cell):
    misses = bound_misses(build(name, cell.delta), cell, replications=300)
    assert not too_often(misses.upper, 300, cell.delta)
    assert not too_often(misses.lower, 300, cell.delta)


@names
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_test_rejects_exactly_where_the_upper_bound_lies_within_the_budget(name, data):
    bound = build(name, LEVEL)
    sample = sample_of(bound, data.draw(losses_for(bound)), data.draw(st.integers(0, 30)))
    delta = data.draw(st.sampled_from([0.003, 0.05, 0.2]))
    alpha = data.draw(st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.9]))
    upper, p_value = bound.upper(sample, delta), bound.p_value(sample, alpha)
    assume(abs(upper - alpha) > ROUNDING or name == "hypergeometric")  # counts have no rounding
    assert (p_value <= delta) == (upper <= alpha)


@names
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_more_confidence_and_smaller_budgets_are_never_easier(name, data):
    bound = build(name, LEVEL)
    sample = sample_of(bound, data.draw(losses_for(bound)), data.draw(st.integers(0, 30)))
    uppers = [bound.upper(sample, delta) for delta in (0.001, 0.01, 0.05, 0.2)]
    lowers = [bound.lower(sample, delta) for delta in (0.001, 0.01, 0.05, 0.2)]
    p_values = [bound.p_value(sample, alpha) for alpha in (0.02, 0.1, 0.4, 0.8)]
    assert np.all(np.diff(uppers) <= ROUNDING)
    assert np.all(np.diff(lowers) >= -ROUNDING)
    assert np.all(np.diff(p_values) <= ROUNDING)
    assert all(0 <= value <= 1 for value in (*uppers, *lowers, *p_values))


@names
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_where_claimed_a_larger_loss_never_helps(name, data):
    bound = build(name, LEVEL)
    if not bound.monotone:
        pytest.skip("not claimed")
    losses, spare = data.draw(losses_for(bound)), data.draw(st.integers(0, 30))
    raised = losses.copy()
    raised[data.draw(st.integers(0, len(losses) - 1))] = 1.0
    low, high = sample_of(bound, losses, spare), sample_of(bound, raised, spare)
    assert bound.upper(high, LEVEL) >= bound.upper(low, LEVEL) - ROUNDING
    assert bound.lower(high, LEVEL) >= bound.lower(low, LEVEL) - ROUNDING
    assert bound.p_value(high, 0.3) >= bound.p_value(low, 0.3) - ROUNDING


@names
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_where_claimed_the_order_of_the_losses_does_not_matter(name, data):
    bound = build(name, LEVEL)
    if not bound.order_free:
        pytest.skip("not claimed")
    losses, spare = data.draw(losses_for(bound)), data.draw(st.integers(0, 30))
    shuffled = np.array(data.draw(st.permutations(list(losses))))
    one, two = sample_of(bound, losses, spare), sample_of(bound, shuffled, spare)
    assert bound.upper(one, LEVEL) == pytest.approx(bound.upper(two, LEVEL), abs=1e-11)
    assert bound.p_value(one, 0.2) == pytest.approx(bound.p_value(two, 0.2), rel=1e-9)


@names
def test_without_units_nothing_is_known(name):
    bound = build(name, LEVEL)
    empty = Sample(np.array([]), 20)
    assert bound.p_value(empty, 0.99) == 1
    assert bound.upper(empty, 0.5) == 1
    assert bound.lower(empty, 0.5) == 0


@names
def test_units_that_all_fail_certify_nothing(name):
    bound = build(name, LEVEL)
    sample = Sample(np.ones(30), 40)
    assert bound.upper(sample, LEVEL) == 1
    assert bound.p_value(sample, 0.9) == 1


@names
@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, float("nan")])
def test_an_error_probability_outside_0_1_is_refused(name, delta):
    with pytest.raises(ValueError, match="delta must be in"):
        build(name, LEVEL).upper(Sample(np.zeros(5), 10), delta)


@names
def test_graded_losses_are_refused_by_theorems_on_counts(name):
    bound = build(name, LEVEL)
    sample = Sample(np.array([0.0, 0.5]), 10)
    if bound.binary:
        for ask in (bound.upper, bound.lower, bound.p_value):
            with pytest.raises(ValueError, match="1 are graded"):
                ask(sample, 0.1)
    else:
        assert bound.upper(sample, 0.1) <= 1


@pytest.mark.parametrize("bad", [float("nan"), -0.01, 1.01, float("inf")])
def test_a_sample_has_no_gaps_and_stays_within_0_and_1(bad):
    with pytest.raises(ValueError, match="1 of 2 are not"):
        Sample(np.array([0.0, bad]))


def test_a_sample_larger_than_its_list_is_refused():
    with pytest.raises(ValueError, match="5 units cannot come from a list of 4"):
        Sample(np.zeros(5), 4)


@dataclasses.dataclass(frozen=True)
class MeanIsTheBound:
    """Wrong: an estimate sold as a bound."""

    name = "mean"

    def upper(self, sample, delta):
        return float(sample.losses.mean())

    def lower(self, sample, delta):
        return float(sample.losses.mean())


@dataclasses.dataclass(frozen=True)
class SumOfHalfSampleMaxima:
    """Wrong: log-wealth maxima of two halves added, as one library does to save memory."""

    name = "halves"

    def upper(self, sample, delta):
        bets, half = predictable(sample.losses, delta, sample.horizon), len(sample) // 2
        for mean in np.linspace(0, 1, 101):
            gains = mean - sample.losses
            if peak(bets[:half], gains[:half]) + peak(bets[half:], gains[half:]) >= -log(delta):
                return float(mean)
        return 1.0

    def lower(self, sample, delta):
        return 0.0


@dataclasses.dataclass(frozen=True)
class TwoSidedBettingUsedOneSided:
    """Wrong: certifies where the seen losses alone exceed the list's budget (mu <= 0)."""

    name = "two-sided"

    def upper(self, sample, delta):
        return float(sample.losses.sum() / sample.population) - 0.01

    def lower(self, sample, delta):
        return 0.0


@pytest.mark.parametrize(
    ("bound", "cell"),
    [
        (MeanIsTheBound(), Cell("draws", "beta, wide")),
        (MeanIsTheBound(), Cell("list", "bernoulli")),
        (SumOfHalfSampleMaxima(), Cell("draws", "bernoulli", risk=0.2, n=100, delta=0.1)),
        (TwoSidedBettingUsedOneSided(), Cell("list", "beta, wide")),
    ],
    ids=lambda item: getattr(item, "label", getattr(item, "name", "")),
)
def test_the_harness_catches_an_invalid_bound(bound, cell):
    assert too_often(bound_misses(bound, cell, replications=600).upper, 600, cell.delta)
