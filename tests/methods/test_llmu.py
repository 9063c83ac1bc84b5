"""On the toy the answer has 1.5 ln 2 per token; the mismatched answers are the refusal, ln 5 per token."""

from __future__ import annotations

import math

import pytest

from audit.methods.base import METHODS


@pytest.fixture
def mismatching(toy, batch):
    asked = []
    toy.mismatched = lambda batch, answers: asked.append(answers) or toy.refusals(batch)
    toy.asked = asked
    return toy


def test_the_forget_term_ascends_on_the_answer_and_learns_the_mismatched_ones(forget, mismatching):
    """-0.5 1.5 ln 2 + ln 5."""
    assert forget("llmu", mismatching) == pytest.approx(-0.75 * math.log(2) + math.log(5))
    assert mismatching.asked == [5]  # as published


def test_a_part_of_weight_zero_is_never_computed(forget, mismatching):
    assert forget("llmu(mismatch=0, ascent=1)", mismatching) == pytest.approx(-1.5 * math.log(2))
    assert mismatching.asked == []
    del mismatching.nlls["answer"]
    assert forget("llmu(ascent=0)", mismatching) == pytest.approx(math.log(5))


def test_the_retain_term_is_the_divergence_of_kl_min(retain):
    assert retain("llmu") == pytest.approx(retain("kl_min"))


def test_mismatched_answers_are_the_retain_sets_to_the_same_questions_anew_at_every_step(away):
    context = away(METHODS["llmu"]().needs)
    batch = context.batch(context.forget_examples)
    first = context.mismatched(batch, 3)
    assert [e.question for e in first.examples] == 3 * [e.question for e in batch.examples]
    assert {e.answer for e in first.examples} <= {e.answer for e in context.retain_examples}
    assert [e.answer for e in context.mismatched(batch, 3).examples] == [e.answer for e in first.examples]
    context.step = 1
    assert [e.answer for e in context.mismatched(batch, 3).examples] != [e.answer for e in first.examples]


@pytest.mark.parametrize(
    "wrong", [{"ascent": -1.0}, {"mismatch": -1.0}, {"ascent": 0.0, "mismatch": 0.0}, {"answers": 0}]
)
def test_parameters_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match="llmu needs"):
        METHODS["llmu"](**wrong)
