"""The quick search stops at the very grid point that the thorough one finds."""

from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.risk.bounds.bets import peak, predictable
from audit.risk.bounds.inversion import crossing

STEP = 2.0**-42


def thorough(evidence, target):
    """The slow search: halve [0, 1] 42 times."""
    low, high = 0.0, 1.0
    if evidence(0.0) >= target:
        return 0.0
    for _ in range(42):
        middle = (low + high) / 2
        low, high = (low, middle) if evidence(middle) >= target else (middle, high)
    return high


@given(
    root=st.floats(0.001, 0.999),
    power=st.sampled_from([0.2, 1.0, 3.0, 20.0]),
    flat=st.floats(0.0, 0.9),
    certain=st.booleans(),
)
def test_on_rising_evidence_it_finds_the_first_grid_point_that_suffices(root, power, flat, certain):
    """Evidence of every shape: flat at 0 for a while, steep or shallow, infinite from some mean on."""

    def evidence(mean):
        if certain and mean > (1 + root) / 2:
            return inf
        return 0.0 if mean < flat * root else 4.0 * (mean / root) ** power

    found = crossing(evidence, 4.0)
    assert evidence(found) >= 4.0 > evidence(found - STEP)
    assert found == thorough(evidence, 4.0)


@given(
    losses=st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=1, max_size=60),
    delta=st.sampled_from([0.0001, 0.05, 0.3]),
)
def test_on_the_wealth_of_a_bettor_both_searches_agree(losses, delta):
    losses = np.array(losses)
    bets, target = predictable(losses, delta, len(losses)), -log(delta)

    def evidence(mean):
        return float(peak(bets, mean - losses))

    assert crossing(evidence, target) == thorough(evidence, target)


def test_evidence_that_jumps_is_met_where_it_jumps():
    assert crossing(lambda mean: 9.0 * (mean >= 0.25), 3.0) == 0.25
    assert crossing(lambda mean: 9.0 * (mean > 0.25), 3.0) == 0.25 + STEP


@pytest.mark.parametrize(("evidence", "found"), [(0.0, 1.0), (2.999, 1.0), (3.0, 0.0), (inf, 0.0)])
def test_evidence_that_never_changes_decides_everything_or_nothing(evidence, found):
    assert crossing(lambda mean: evidence, 3.0) == found


def test_it_asks_less_often_than_the_thorough_search():
    losses = np.random.default_rng(0).beta(0.5, 5, 200)
    bets, asked = predictable(losses, 0.05, 200), []

    def evidence(mean):
        asked.append(mean)
        return float(peak(bets, mean - losses))

    crossing(evidence, -log(0.05))
    assert len(asked) <= 25
