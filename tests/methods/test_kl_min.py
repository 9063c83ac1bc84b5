"""On the toy p0 is uniform; on a network both means are compared with open-unlearning's elsewhere."""

from __future__ import annotations

import math

import pytest

from audit.methods.base import METHODS


def test_the_forget_term_is_gradient_ascent(forget):
    assert forget("kl_min") == pytest.approx(-1.5 * math.log(2))


def test_the_retain_term_is_the_divergence_from_the_starting_model_per_answer_token(retain):
    """KL(uniform || p) = sum 1/5 ln((1/5)/p).

    Token 1: (ln 2/5 + 4 ln 8/5)/5. Token 2: (3 ln 4/5 + 2 ln 8/5)/5. Their mean is the term.
    """
    first = (math.log(2 / 5) + 4 * math.log(8 / 5)) / 5
    second = (3 * math.log(4 / 5) + 2 * math.log(8 / 5)) / 5
    assert retain("kl_min") == pytest.approx((first + second) / 2, rel=1e-6)


def test_a_model_that_has_not_moved_has_no_divergence_and_feels_none(toy, batch):
    toy.start = toy.logits["answer"].log_softmax(-1)
    logits = toy.logits["answer"].requires_grad_(True)
    term = METHODS.build("kl_min").retain_term(toy, batch)
    term.backward()
    assert term.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad.abs().max() < 1e-6


def test_an_unknown_compatibility_is_refused():
    with pytest.raises(ValueError, match="compat"):
        METHODS["kl_min"](compat="muse")
