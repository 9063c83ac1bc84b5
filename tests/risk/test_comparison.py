"""The same units under every bound: rows are complete, ordered, and right where a closed form exists."""

from math import ceil, log

import numpy as np
import pytest
from scipy.stats import binom

from audit.risk import power
from audit.risk.bounds.base import BOUNDS
from audit.risk.comparison import compare
from audit.risk.power import SampleDesign

DRAWS = SampleDesign(100, None)
DEMO = SampleDesign(90, 120, family_size=16, clauses=8)


def rows(design, risks=(0.0, 0.02, 0.05), **options):
    return {row.bound: row for row in compare(design, risks, **options)}


@pytest.mark.parametrize(
    "design",
    [
        DRAWS,
        DEMO,
        SampleDesign(90, 120, fixed=False),
        SampleDesign(60, None, graded=True),
        SampleDesign(60, 90, graded=True),
    ],
    ids=["draws", "list", "random list", "graded draws", "graded list"],
)
def test_every_bound_that_covers_the_design_has_a_row_and_no_other(design):
    found = compare(design, (0.0,), replications=20)
    expected = [
        name
        for name in BOUNDS
        if design.kind in BOUNDS[name].designs and not (design.graded and BOUNDS[name].binary)
    ]
    assert sorted(row.bound for row in found) == expected
    assert all(len(row.units_needed) == 3 and len(row.certified) == 1 for row in found)


def test_the_demo_is_decided_by_the_most_powerful_row():
    """STATISTICS section 5: four failures of 90 are allowed, 41 of 120 units suffice without one."""
    first = compare(DEMO, (0.0, 0.02, 0.05), replications=50)[0]
    assert (first.bound, first.failures_allowed, first.units_needed[0]) == ("hypergeometric", 4, 41)
    assert not first.simulated


def test_rows_agree_with_closed_forms():
    """Without failure: (1 - alpha)^n <= delta, and 2 n alpha^2 >= ln(1/delta) for Hoeffding."""
    found = rows(DRAWS)
    assert found["binomial"].units_needed[0] == found["kl"].units_needed[0] == ceil(log(0.05) / log(0.9))
    assert found["hoeffding"].units_needed[0] == ceil(log(20) / (2 * 0.1**2))
    assert found["hoeffding"].failures_allowed is None
    assert found["binomial"].certified == pytest.approx(
        [1.0, binom.cdf(4, 100, 0.02), binom.cdf(4, 100, 0.05)]
    )
    assert found["hoeffding_bentkus"].smallest_certifiable_share == pytest.approx(1 - 0.05**0.01)


def test_what_depends_on_the_order_is_simulated_and_not_counted():
    betting = rows(DRAWS)["betting"]
    assert betting.simulated
    assert betting.failures_allowed is None
    assert betting.units_needed == (32, None, None)
    assert betting.certified[0] == 1
    assert 0 < betting.certified[2] < betting.certified[1] < 1


def test_graded_losses_are_simulated_from_the_law_that_was_given():
    """All in few units at .05: an upper bound far below .1 is out of reach; spread over all: betting wins."""
    design = SampleDesign(80, None, graded=True)
    spread = rows(design, (0.05,), replications=100)
    few = rows(design, (0.05,), law=power.concentrated, replications=100)
    assert all(row.simulated and row.failures_allowed is None for row in spread.values())
    assert spread["betting"].certified[0] > 0.7 > 0.5 > few["betting"].certified[0]
    assert spread["betting"].certified[0] > spread["hoeffding_bentkus"].certified[0]


def test_the_table_is_the_same_every_time():
    design = SampleDesign(60, 90, graded=True)
    assert compare(design, (0.02,), replications=30) == compare(design, (0.02,), replications=30)


def test_a_sure_draw_needs_one_replication():
    """No loss anywhere: the certificate is certain, however few simulations are asked for."""
    assert power.simulated_certification(DRAWS, np.zeros(5), replications=1) == 1
    assert power.simulated_certification(DRAWS, np.full(5, 0.2), replications=7) == 0
