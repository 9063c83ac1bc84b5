"""Splits: disjoint, complete, decided by the seed and by who is there, not by the order of a file."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.core.errors import AuditError
from audit.data.records import Subject
from audit.data.splits import deal, halves

NAMES = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=40)
SEEDS = st.integers(0, 2**63 - 1)


@st.composite
def lists_and_sizes(draw):
    names = draw(NAMES)
    cuts = sorted(draw(st.lists(st.integers(0, len(names)), min_size=3, max_size=3)))
    sizes = {"tune": cuts[0], "calibrate": cuts[1] - cuts[0], "sealed": cuts[2] - cuts[1]}
    return names, sizes


@settings(deadline=None)
@given(lists_and_sizes(), SEEDS)
def test_every_split_gets_exactly_its_size_and_nobody_stands_in_two(data, seed):
    names, sizes = data
    dealt = deal(names, sizes, seed)
    assert Counter(split for split, _ in dealt.values()) == Counter({s: n for s, n in sizes.items() if n})
    assert set(dealt) <= set(names)
    assert len(dealt) == sum(sizes.values())


@settings(deadline=None)
@given(NAMES, SEEDS)
def test_sizes_that_sum_to_the_list_leave_nobody_out(names, seed):
    dealt = deal(names, {"calibrate": len(names) // 2, "sealed": len(names) - len(names) // 2}, seed)
    assert set(dealt) == set(names)


@settings(deadline=None)
@given(lists_and_sizes(), SEEDS)
def test_the_order_within_a_split_counts_from_zero_without_gaps(data, seed):
    names, sizes = data
    places = deal(names, sizes, seed).values()
    for split, size in sizes.items():
        assert sorted(order for s, order in places if s == split) == list(range(size))


@settings(deadline=None)
@given(lists_and_sizes(), SEEDS, st.randoms())
def test_the_order_of_the_file_and_of_the_sizes_does_not_matter(data, seed, random):
    names, sizes = data
    shuffled, swapped = names.copy(), list(sizes.items())
    random.shuffle(shuffled)
    random.shuffle(swapped)
    assert deal(shuffled, dict(swapped), seed) == deal(names, sizes, seed)


def test_another_seed_gives_another_deal():
    names = [str(i) for i in range(100)]
    sizes = {"tune": 20, "calibrate": 60, "sealed": 20}
    assert deal(names, sizes, 1) == deal(names, sizes, 1) != deal(names, sizes, 2)


def test_subjects_and_their_identifiers_are_dealt_alike():
    names = [str(i) for i in range(30)]
    sizes = {"tune": 6, "threshold": 24}
    assert deal([Subject(name, ()) for name in names], sizes, 5) == deal(names, sizes, 5)


def test_every_subject_is_equally_likely_to_be_opened():
    """20 of 50 units, dealt 2,000 times: opened with probability 0.4, sd 0.01095; 5 sd are 0.055."""
    names = [str(i) for i in range(50)]
    opened = Counter(name for seed in range(2000) for name in deal(names, {"calibrate": 20}, seed))
    assert all(abs(opened[name] / 2000 - 0.4) < 0.055 for name in names)


def test_too_few_units_are_an_error_with_the_numbers():
    with pytest.raises(AuditError) as error:
        deal(["secret-name"] * 1, {"tune": 30, "calibrate": 90}, 1)
    assert error.value.code == "E108"
    assert "120 units (30 tune + 90 calibrate)" in error.value.cause
    assert "there are 1" in error.value.cause
    assert "secret-name" not in str(error.value)


@pytest.mark.parametrize("sizes", [{"tunes": 1}, {"tune": -1}])
def test_odd_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes"):
        deal(["a", "b"], sizes, 1)


@pytest.mark.parametrize("function", [halves, lambda names, seed: deal(names, {"tune": 1}, seed)])
def test_a_subject_named_twice_is_refused(function):
    with pytest.raises(ValueError, match="1 subjects stand in the list twice"):
        function(["a", "a", "b"], 1)


@settings(deadline=None)
@given(NAMES, SEEDS, st.randoms())
def test_halves_are_complete_balanced_and_independent_of_the_order_of_the_file(names, seed, random):
    shuffled = names.copy()
    random.shuffle(shuffled)
    found = halves(names, seed)
    count = Counter(found.values())
    assert set(found) == set(names)
    assert set(count) <= {1, 2}
    assert 0 <= count[1] - count[2] <= 1
    assert halves(shuffled, seed) == found


def test_another_seed_gives_other_halves():
    names = [str(i) for i in range(40)]
    assert halves(names, 1) != halves(names, 2)
