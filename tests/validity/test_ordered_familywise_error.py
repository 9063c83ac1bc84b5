"""Ordered procedures at the boundary; an order learned on the units it is tested on must be caught.

Ten configurations, each one unit above its budget under one attack; a fresh draw of the same list each time.
400 replications by default, 10,000 among the slow tests.
"""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from audit.core.seeds import generator
from audit.risk.model import ConformalRiskModel
from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.orders import pareto_order
from audit.risk.table import Clause, LossTable

CONFIGURATIONS, SIZE, TUNE, UNITS = 10, 190, 40, 100
ALPHA, FAILING = 0.1, 16  # of the 150 that are left to draw from, 15 are allowed
DELTA = 0.05
NAMES = tuple(f"c{i}" for i in range(CONFIGURATIONS))
PROCEDURES_WITH_ORDER = ("fixed_sequence", "fallback", "graphical", "graphical(insurance=0.5)")
sizes = pytest.mark.parametrize("replications", [400, pytest.param(10_000, marks=pytest.mark.slow)])
ordered = pytest.mark.parametrize("family", PROCEDURES_WITH_ORDER)


def false_listings(decide, draw, violating, replications):
    """Return in how many replications somebody who exceeds a budget is listed."""
    random = generator(0, "false listings")
    return sum(bool((decide(draw(random)) & violating).any()) for _ in range(replications))


def too_often(count, replications):
    """Return whether ``count`` contradicts delta at 1 % evidence."""
    return binom.sf(count - 1, replications, DELTA) <= 0.01


def interval(count, replications):
    return binomtest(count, replications).proportion_ci(0.95)


def failing_lists(dependence, failing):
    """(C, N) fixed 0/1 losses of the N units left after tuning, with ``failing`` (C,) failures each."""
    random, left = generator(0, "ordered", dependence), SIZE - TUNE
    shared = random.permutation(left)
    rows = [shared if dependence == "comonotone" else random.permutation(left) for _ in failing]
    return np.array([(row < count).astype(float) for row, count in zip(rows, failing, strict=True)])


def losses_table(columns, order):
    clauses = (
        Clause("none", "forget", columns, SIZE - TUNE, binary=True),
        Clause("utility", "utility", np.zeros_like(columns), SIZE - TUNE, binary=True),
    )
    return LossTable(NAMES, clauses, CONFIGURATIONS, order)


def drawn(listed, order_of):
    """Return a function that draws n of the N units and asks ``order_of(random, columns)`` for the order."""

    def draw(random):
        columns = listed[:, random.permutation(SIZE - TUNE)[:UNITS]]
        return losses_table(columns, order_of(random, columns))

    return draw


def learned(columns):
    return pareto_order(losses_table(columns, None), ALPHA, ALPHA)


def tuned_elsewhere(random, columns):
    """The order of 40 units that are not among those drawn; their true risks are the same."""
    return learned((random.random((CONFIGURATIONS, TUNE)) < FAILING / (SIZE - TUNE)).astype(float))


def listed_by(family):
    return lambda table: ConformalRiskModel(delta=DELTA, family=family).fit(table).valid_


@sizes
@ordered
@pytest.mark.parametrize("dependence", ["independent", "comonotone"])
def test_an_order_from_other_units_keeps_the_promise(family, dependence, replications):
    listed = failing_lists(dependence, np.full(CONFIGURATIONS, FAILING))
    count = false_listings(
        listed_by(family), drawn(listed, tuned_elsewhere), listed.any(axis=1), replications
    )
    assert not too_often(count, replications), interval(count, replications)


@sizes
@ordered
@pytest.mark.parametrize("bad", ["first", "last"])
def test_half_valid_half_above_the_budget_in_either_order(family, bad, replications):
    failing = np.full(CONFIGURATIONS, 1)
    failing[: CONFIGURATIONS // 2] = FAILING
    listed = failing_lists("independent", failing)
    order = tuple(range(CONFIGURATIONS)) if bad == "first" else tuple(range(CONFIGURATIONS))[::-1]
    count = false_listings(
        listed_by(family), drawn(listed, lambda *_: order), failing == FAILING, replications
    )
    assert not too_often(count, replications), interval(count, replications)


@pytest.mark.parametrize("family", ["fixed_sequence", "graphical"])
def test_an_order_learned_on_the_units_it_is_tested_on_is_caught(family):
    """The best of ten nulls comes first, at the whole of delta: as if nothing were corrected."""
    listed = failing_lists("independent", np.full(CONFIGURATIONS, FAILING))
    draw = drawn(listed, lambda random, columns: learned(columns))
    count = false_listings(listed_by(family), draw, listed.any(axis=1), 400)
    assert too_often(count, 400), interval(count, 400)


# -- members dropped after a look ---------------------------------


def most_rejected(family, p_values, dropped, size):
    """Return whether some choice of ``dropped`` members to leave out gets anybody rejected."""
    procedure = PROCEDURES.build(family)
    for kept in combinations(range(len(p_values)), len(p_values) - dropped):
        if procedure.reject(p_values[list(kept)], DELTA, size, range(len(kept))).any():
            return True
    return False


@pytest.mark.parametrize("replications", [pytest.param(1500), pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("family", [*PROCEDURES_WITH_ORDER, "holm"])
def test_leaving_members_out_after_a_look_gains_nothing(family, replications):
    """Six true nulls with uniform p-values; two are left out, whichever two help the others most."""
    random = generator(0, "dropped", family)
    count = sum(most_rejected(family, random.random(6), 2, 6) for _ in range(replications))
    assert not too_often(count, replications), interval(count, replications)


def test_a_walk_that_forgets_whom_it_left_out_is_caught():
    """The same, told that the family has four members: three of six may come to stand first."""
    random = generator(0, "forgotten")
    count = sum(most_rejected("fixed_sequence", random.random(6), 2, 4) for _ in range(1500))
    assert too_often(count, 1500), interval(count, 1500)
