"""On the toy P_f = (1/2 + 1/4) / 2 = 3/8 and the refusal, two uniform words of five, has P_e = 1/5."""

from __future__ import annotations

import math

import pytest

from audit.methods.base import METHODS

E, F = 1 / 5, 3 / 8


@pytest.mark.parametrize(
    ("divergence", "value"),
    [
        ("tv", (math.tanh(F) - math.tanh(E)) / 2),
        ("kl", -E + math.exp(F - 1)),
        ("pearson", -E + F**2 / 4 + F),
        ("js", math.log(1 + math.exp(-E)) - math.log(2) + F + math.log(1 + math.exp(-F)) - math.log(2)),
    ],
)
def test_the_term_is_the_published_function_of_the_two_mean_probabilities(forget, divergence, value):
    assert forget(f"flat(divergence={divergence})") == pytest.approx(value)


def test_total_variation_is_the_default(forget):
    assert forget("flat") == forget("flat(divergence=tv)")


@pytest.mark.parametrize("divergence", ["tv", "kl", "pearson", "js"])
def test_it_falls_when_the_refusal_gets_likelier_or_the_answer_unlikelier(toy, batch, divergence):
    answer, refusal = (toy.logits[name].requires_grad_(True) for name in ("answer", "refusal"))
    METHODS["flat"](divergence).forget_term(toy, batch).backward()
    assert (answer.grad[[0, 1], [0, 1]] > 0).all()
    assert (refusal.grad[[0, 1], [0, 1]] < 0).all()


def test_it_is_forget_only(retain):
    with pytest.raises(ValueError, match="no retain term"):
        retain("flat")


def test_an_unknown_divergence_is_refused():
    with pytest.raises(ValueError, match="tv, kl, js, pearson"):
        METHODS["flat"]("hellinger")
