"""Every registered bound in every design it claims: 10,000 replications per cell, judged together.

A cell is flagged at 1 % evidence over the whole study (1 % over the number of cells), so that a valid engine
passes with probability at least 99 %, whatever the seed.
"""

from itertools import product

import pytest

from audit.risk.bounds.base import BOUNDS, build
from audit.risk.validation import LAWS, Cell, bound_misses, false_rejections, too_often

pytestmark = pytest.mark.slow

REPLICATIONS = 10_000
SIZES = ((20, 200), (60, 120), (90, 100))  # n of N: a tenth, half, nine tenths


def cells(name):
    bound = build(name, 0.05)
    laws = ["bernoulli"] if bound.binary else list(LAWS)
    for design, law in product(sorted(bound.designs), laws):
        if design == "draws":
            yield from (Cell(design, law, n=n, delta=0.05) for n in (29, 100))
        else:
            yield from (Cell(design, law, n=n, population=size, delta=0.05) for n, size in SIZES)
        yield Cell(design, law, n=90, population=120, delta=0.05 / 16)


STUDY = [(name, cell) for name in BOUNDS.names() for cell in cells(name)]


def flagged(count, delta):
    return too_often(count, REPLICATIONS, delta, evidence=0.01 / len(STUDY))


@pytest.mark.parametrize("name", BOUNDS.names())
def test_tests_reject_a_true_null_no_more_often_than_promised(name):
    rates = {c.label: (false_rejections(build(name, c.delta), c, REPLICATIONS), c.delta) for c in cells(name)}
    assert not {label: count for label, (count, delta) in rates.items() if flagged(count, delta)}


@pytest.mark.parametrize("name", BOUNDS.names())
def test_upper_and_lower_bounds_miss_no_more_often_than_promised(name):
    bound = build(name, 0.05)
    for design in sorted(bound.designs):
        misses = bound_misses(bound, Cell(design, "bernoulli", n=60, population=90), REPLICATIONS)
        assert not flagged(misses.upper, 0.05)
        assert not flagged(misses.lower, 0.05)
