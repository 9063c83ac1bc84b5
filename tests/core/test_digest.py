"""Canonical digests: one content, one name; what has no single text is refused."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.core.digest import canonical_json, digest_bytes, digest_file, digest_json, keyed

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(), v, max_size=4), max_leaves=12
)


def reversed_keys(value):
    if isinstance(value, dict):
        return {k: reversed_keys(v) for k, v in reversed(value.items())}
    return [reversed_keys(v) for v in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(values)
def test_the_order_of_keys_does_not_matter(value):
    assert digest_json(reversed_keys(value)) == digest_json(value)


@settings(deadline=None)
@given(values)
def test_the_canonical_text_reads_back_as_the_value(value):
    assert json.loads(canonical_json(value)) == value


@settings(deadline=None)
@given(st.lists(scalars, min_size=2, max_size=4, unique_by=repr))
def test_the_order_of_a_list_matters(value):
    assert (digest_json(value) == digest_json(value[::-1])) == (
        canonical_json(value) == canonical_json(value[::-1])
    )
    assert digest_json(value) != digest_json([*value, None])


def test_the_digest_is_the_sha256_of_sorted_compact_json():
    text = '{"a":[1,2.5,null],"é":"x"}'
    assert canonical_json({"é": "x", "a": (1, 2.5, None)}) == text
    assert digest_json({"é": "x", "a": [1, 2.5, None]}) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, {"a": float("-inf")}]])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="canonical JSON has no"):
        canonical_json(value)


def test_keys_that_are_not_text_are_refused_because_json_would_merge_them():
    with pytest.raises(TypeError, match="string keys, got int"):
        canonical_json({"a": {1: "x", "1": "y"}})


def test_a_file_has_the_digest_of_its_bytes(tmp_path):
    data = bytes(range(256)) * 5000
    (tmp_path / "f").write_bytes(data)
    assert digest_file(tmp_path / "f") == digest_bytes(data) == hashlib.sha256(data).hexdigest()


def test_a_pseudonym_is_the_head_of_the_hmac_and_needs_the_key():
    expected = hmac.new(b"k", b"Anna", hashlib.sha256).hexdigest()[:16]
    assert keyed(b"k", "Anna") == expected
    assert keyed(b"l", "Anna") != expected
