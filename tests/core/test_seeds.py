"""Named seeds: the same in every process, different for every name."""

import hashlib
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from audit.core.seeds import derive, generator

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
