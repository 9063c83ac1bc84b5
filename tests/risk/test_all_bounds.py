"""What every registered bound owes besides the contract: its assumption in words, and validity at every level."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from audit.core.seeds import generator
from audit.risk.bounds.base import BOUNDS, Sample, build
from audit.risk.catalogue import covering, table

names = pytest.mark.parametrize("name", BOUNDS.names())
REPLICATIONS, SIZE, UNITS = 400, 48, 32
LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.9)


def population_of(design):
    return None if design == "draws" else SIZE


def draw(random, design, binary):
    """32 losses with mean 1/4: i.i.d.; from a list of 48 with fixed losses; from one with random outcomes."""
    fixed_coins = binary and design != "random list"
    listed = np.tile([0.0, 0.0, 0.0, 1.0] if fixed_coins else [0.0, 0.1, 0.3, 0.6], SIZE // 4)
    if design == "draws":
        return random.choice(listed, UNITS)
    chosen = random.permutation(listed)[:UNITS]
    return chosen if design == "list" else (random.random(UNITS) < chosen).astype(float)


CELLS = [(name, design) for name in BOUNDS.names() for design in sorted(BOUNDS[name].designs)]


@pytest.mark.parametrize(("name", "design"), CELLS)
def test_p_values_at_the_boundary_are_super_uniform(name, design):
    """P(p <= t) <= t at six levels; a count is flagged at 1e-4 evidence, seeds are fixed."""
    bound, random = build(name, 0.05), generator(0, "super-uniform", name, design)
    samples = [Sample(draw(random, design, bound.binary), population_of(design)) for _ in range(REPLICATIONS)]
    found = np.array([bound.p_value(sample, 0.25 - 1e-9) for sample in samples])
    counts = {level: int((found <= level).sum()) for level in LEVELS}
    assert not {t: k for t, k in counts.items() if binom.sf(k - 1, REPLICATIONS, t) < 1e-4}


@names
def test_far_from_the_boundary_it_rejects(name):
    """A bound that never certifies would pass every test above: 200 units without a loss, budget .3."""
    bound = build(name, 0.05)
    sample = Sample(np.zeros(200), 400)
    assert bound.p_value(sample, 0.3) <= 0.001
    assert bound.upper(sample, 0.05) < 0.15
    assert bound.lower(Sample(np.ones(200), 400), 0.05) > 0.85


@names
@pytest.mark.parametrize("population", [None, 0, 20])
def test_an_empty_sample_says_nothing_whatever_its_list(name, population):
    bound, empty = build(name, 0.05), Sample(np.array([]), population)
    assert (bound.upper(empty, 0.3), bound.lower(empty, 0.3), bound.p_value(empty, 0.9)) == (1, 0, 1)


THIRDS = st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0])


@names
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_test_and_bound_agree_at_any_level_and_budget(name, data):
    """As in the contract, with losses that are not exact in binary and levels nobody chose."""
    bound = build(name, 0.05)
    values = st.sampled_from([0.0, 1.0]) if bound.binary else THIRDS
    losses = np.array(data.draw(st.lists(values, min_size=1, max_size=30)))
    sample = Sample(losses, len(losses) + data.draw(st.integers(0, 30)) if "list" in bound.designs else None)
    delta, alpha = data.draw(st.floats(1e-4, 0.5)), data.draw(st.floats(0.01, 0.99))
    upper = bound.upper(sample, delta)
    assume(abs(upper - alpha) > 1e-9)
    assert (bound.p_value(sample, alpha) <= delta) == (upper < alpha)


@names
def test_what_it_assumes_is_one_sentence(name):
    text = BOUNDS[name].assumes
    assert 20 < len(text) < 200
    assert "\n" not in text
    assert ". " not in text
    assert "losses" in text or "units" in text
    assert ("0/1" in text) == BOUNDS[name].binary


@names
def test_a_bound_says_without_replacement_only_where_it_uses_it(name):
    """Fixed losses on a list are assumed exactly by the bounds that hold for lists but not for random outcomes."""
    bound = BOUNDS[name]
    assert ("one fixed" in bound.assumes) == (bound.designs == {"list"})
    assert ("from a list" in bound.assumes) == ("list" in bound.designs)


def test_the_catalogue_shows_what_every_bound_assumes():
    rows = {row["bound"]: row for row in table()}
    assert list(rows) == BOUNDS.names()
    assert all(rows[name]["assumes"] == BOUNDS[name].assumes for name in rows)


def test_the_named_baselines_of_the_design_are_all_there():
    """STATISTICS section 4 and the list of bounds to build."""
    assert set(BOUNDS.names()) >= {
        "binomial",
        "hypergeometric",
        "betting",
        "betting_without_replacement",
        "hoeffding_serfling",
        "mixture",
        "hoeffding",
        "kl",
        "bentkus",
        "hoeffding_bentkus",
        "maurer_pontil",
        "c_rag",
    }


def test_only_bounds_that_cover_a_design_are_offered_for_it():
    assert "hypergeometric" not in covering("random list", binary=True)
    assert "binomial" not in covering("draws", binary=False)
    assert "maurer_pontil" not in covering("list", binary=True)
    assert "betting" in covering("draws", binary=True)
