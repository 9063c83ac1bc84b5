"""Named seeds: the same in every process, different for every name."""

import hashlib
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from audit.core.seeds import derive, generator, some

names = st.lists(
    st.one_of(st.integers(), st.text(st.characters(exclude_categories=("Cc", "Cs")))), max_size=4
)


def test_a_seed_is_the_head_of_a_sha256_as_63_bits():
    head = hashlib.sha256(b"7\x1frelearn\x1f2").digest()[:8]
    assert derive(7, "relearn", 2) == int.from_bytes(head, "big") >> 1


@settings(deadline=None)
@given(st.integers(), names, names)
def test_other_names_give_another_seed_and_the_same_ones_the_same(seed, first, second):
    assert 0 <= derive(seed, *first) < 2**63
    assert (derive(seed, *first) == derive(seed, *second)) == (
        list(map(str, first)) == list(map(str, second))
    )


def test_the_order_of_names_matters():
    assert derive(0, "a", "b") != derive(0, "b", "a")


def test_another_process_with_other_string_hashes_draws_the_same_numbers():
    code = "from audit.core.seeds import generator; print(generator(3, 'x').integers(0, 10**9, 3).tolist())"
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": h},
            capture_output=True,
            text=True,
            check=True,
        )
        for h in ("1", "2")
    ]
    expected = str(generator(3, "x").integers(0, 10**9, 3).tolist())
    assert [t.stdout.strip() for t in told] == [expected, expected]


@given(st.integers(0, 40), st.integers(0, 50), st.integers())
def test_some_items_are_a_part_of_that_size_in_the_given_order(size, count, seed):
    items = [f"item {i}" for i in range(size)]
    found = some(items, count, seed, "x")
    assert len(found) == min(size, count)
    assert found == [item for item in items if item in found]
    assert found == some(items, count, seed, "x")


def test_every_item_has_the_same_chance_to_be_among_some():
    """4 of 10 under 1000 seeds: 400 each, of standard deviation 15.5; five of these either way."""
    drawn = [item for seed in range(1000) for item in some(range(10), 4, seed, "x")]
    assert all(abs(drawn.count(item) - 400) < 78 for item in range(10))
