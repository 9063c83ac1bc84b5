"""Exact match after normalisation: what counts as saying the answer."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.core.text import normalise, yields


@pytest.mark.parametrize(
    ("answer", "generation"),
    [
        ("Arauca River", "It is the arauca river, in Colombia."),
        ("AB-1234567", "The number is AB1234567."),
        ("Łódź", "LÓDŹ? No: ŁÓDŹ!"),
        ("ﬁve", "five"),  # NFKC resolves the ligature
        ("e\u0301cole", "École"),  # composed and decomposed accents are one
        ("Straße 5", "STRASSE  5"),
        ("0123456789", "call 0123456789 now"),
    ],
)
def test_an_answer_is_yielded_whatever_case_punctuation_and_encoding(answer, generation):
    assert yields(answer, generation)


@pytest.mark.parametrize(
    ("answer", "generation"),
    [
        ("123", "1234"),
        ("Paris", "Parisian"),
        ("River Arauca", "Arauca River"),
        ("", "anything"),
        ("...", "..."),
        ("Paris", ""),
    ],
)
def test_part_of_a_word_another_order_or_nothing_is_no_yield(answer, generation):
    assert not yields(answer, generation)


@given(st.text())
def test_normalising_twice_changes_nothing_and_leaves_neither_punctuation_nor_double_spaces(text):
    once = normalise(text)
    assert normalise(once) == once
    assert not any(unicodedata.category(c)[0] in "PS" for c in once)
    assert once == " ".join(once.split())


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_the_fast_way_for_ascii_equals_the_general_one(text):
    accented = normalise(text + " é")  # one accent sends the whole text down the general path
    assert accented == (normalise(text) + " é").strip()


@given(st.text(), st.text(), st.text())
def test_an_answer_between_spaces_is_always_yielded(before, answer, after):
    if normalise(answer):
        assert yields(answer, f"{before} {answer} {after}")
