"""Token 1 has not moved. At token 2 p0 = (1/8, 1/2, 1/8, 1/8, 1/8) and p = (1/4, 1/4, 1/8, 1/8, 1/4)."""

from __future__ import annotations

import math

import pytest
import torch

from audit.core.errors import AuditError
from audit.methods.base import METHODS

LN2 = math.log(2)


@pytest.fixture
def moved(toy):
    first = [1 / 2, 1 / 8, 1 / 8, 1 / 8, 1 / 8]
    toy.start = torch.tensor([first, [1 / 8, 1 / 2, 1 / 8, 1 / 8, 1 / 8]]).log()
    return toy


def test_the_margin_is_the_gap_between_the_shifted_distributions_seen_from_start_and_now(forget, moved):
    """Shift ln 2: p_l = (8, 1, 1, 1, 1)/12 and p_w = (2, 1, 1, 1, 1)/6 with the top word first.

    p_l - p_w = 1/3 at the top word, -1/12 elsewhere. ln p0 - ln p at token 2 is (-1, 1, 0, 0, -1) ln 2: the
    margin is (1/3 + 1/12 + 1/12) ln 2 = ln 2 / 2. Beta 2: -ln sigmoid(ln 2) = ln(3/2).
    """
    assert forget(f"dipo(beta=2, shift={LN2})", moved) == pytest.approx(math.log(3 / 2), rel=1e-6)


def test_the_margin_is_the_difference_of_the_four_divergences(forget, moved):
    def kl(a, b):
        return (a * (a.log() - b.log())).sum()

    margin = torch.zeros(())
    for start, now in zip(moved.start, moved.logits["answer"].softmax(-1), strict=True):
        top = torch.zeros(5).index_fill(0, start.topk(2).indices, 1.5)
        worse, better = (start + top).softmax(-1), (start - top).softmax(-1)
        margin += kl(worse, now) - kl(worse, start.exp()) - kl(better, now) + kl(better, start.exp())
    expected = math.log(1 + math.exp(-0.7 * float(margin)))
    assert forget("dipo(beta=0.7, top=2, shift=1.5)", moved) == pytest.approx(expected, rel=1e-5)


def test_at_the_start_the_preference_is_undecided_and_the_top_words_go_down(toy, batch):
    """Margin 0: ln 2."""
    toy.start = toy.logits["answer"].log_softmax(-1).clone()
    logits = toy.logits["answer"].requires_grad_(True)
    term = METHODS.build("dipo").forget_term(toy, batch)
    term.backward()
    assert term.item() == pytest.approx(LN2)
    assert logits.grad[0, 0] > 0


@pytest.mark.parametrize("wrong", [{"beta": 0.0}, {"top": 0}, {"shift": 0.0}])
def test_parameters_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        METHODS["dipo"](**wrong)


@pytest.mark.parametrize("top", [5, 1000])
def test_all_words_at_once_cannot_be_shifted_against_each_other(top, forget, moved):
    """The toy has five: four leave one, five would change nothing."""
    assert math.isfinite(forget("dipo(top=4)", moved))
    with pytest.raises(AuditError, match="E296"):
        forget(f"dipo(top={top})", moved)
