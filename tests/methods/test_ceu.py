"""Without its answer, token 1's distribution is uniform on four words, token 2's (1/3, 0, 1/6, 1/6, 1/3)."""

from __future__ import annotations

import math

import pytest

from audit.methods.base import METHODS


def test_the_term_is_the_cross_entropy_with_the_own_distribution_without_the_answer(forget):
    """Token 1: ln 8 = 3 ln 2. Token 2: 2/3 ln 4 + 1/3 ln 8 = 7/3 ln 2, which alone counts by default."""
    assert forget("ceu") == pytest.approx(7 / 3 * math.log(2))
    assert forget("ceu(skipped=0)") == pytest.approx(8 / 3 * math.log(2))


def test_answers_of_skipped_tokens_only_count_for_nothing(forget):
    assert forget("ceu(skipped=2)") == 0


def test_the_slope_is_the_distribution_minus_its_target(toy, batch):
    """P - q at token 2, nothing at token 1."""
    logits = toy.logits["answer"].requires_grad_(True)
    METHODS.build("ceu").forget_term(toy, batch).backward()
    assert logits.grad[0].tolist() == pytest.approx([0] * 5)
    expected = [1 / 4 - 1 / 3, 1 / 4, 1 / 8 - 1 / 6, 1 / 8 - 1 / 6, 1 / 4 - 1 / 3]
    assert logits.grad[1].tolist() == pytest.approx(expected)


def test_it_has_no_retain_term(retain):
    with pytest.raises(ValueError, match="no retain term"):
        retain("ceu")


def test_a_negative_number_of_skipped_tokens_is_refused():
    with pytest.raises(ValueError, match="skipped"):
        METHODS["ceu"](skipped=-1)
