"""Every registered bound in every design it claims: 10,000 replications per cell, judged together.

A cell is flagged at 1 % evidence over the whole study (1 % over the number of cells), so that a valid engine
passes with probability at least 99 %, whatever the seed.
"""

import pytest

from audit.risk.bounds.base import BOUNDS, build
from audit.risk.validation import LAWS, Cell, bound_misses, false_rejections, too_often

pytestmark = pytest.mark.slow

REPLICATIONS = 10_000


def cells(name):
    """All laws at one size; 0/1 losses also at a tenth and nine tenths of a list, and at delta / 16."""
    bound = build(name, 0.05)
    for design in sorted(bound.designs):
        for law in ["bernoulli"] if bound.binary else LAWS:
            yield Cell(design, law, n=60, population=120)
        yield Cell(design, "bernoulli", n=29, population=290)
        yield Cell(design, "bernoulli", n=90, population=100)
        yield Cell(design, "bernoulli", n=90, population=120, delta=0.05 / 16)


STUDY = [(name, cell) for name in BOUNDS.names() for cell in cells(name)]


def flagged(count, delta, replications=REPLICATIONS):
    return too_often(count, replications, delta, evidence=0.01 / len(STUDY))


@pytest.mark.parametrize("name", BOUNDS.names())
def test_tests_reject_a_true_null_no_more_often_than_promised(name):
    rates = {c.label: (false_rejections(build(name, c.delta), c, REPLICATIONS), c.delta) for c in cells(name)}
    assert not {label: count for label, (count, delta) in rates.items() if flagged(count, delta)}


@pytest.mark.parametrize("name", BOUNDS.names())
def test_upper_and_lower_bounds_miss_no_more_often_than_promised(name):
    """The same event as above seen from the bound, which searches longer: 2,000 replications."""
    bound = build(name, 0.05)
    for design in sorted(bound.designs):
        misses = bound_misses(bound, Cell(design, "bernoulli", n=60, population=90), 2_000)
        assert not flagged(misses.upper, 0.05, 2_000)
        assert not flagged(misses.lower, 0.05, 2_000)
