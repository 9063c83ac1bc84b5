from __future__ import annotations

import math

import pytest
import torch

from audit.methods.base import METHODS
from audit.models import alternates


def test_the_term_is_that_of_idk_dpo_with_the_alternate_in_place_of_the_refusal(forget, toy):
    """Beta 1: ratios 4 (alternate) and 1/3 (answer), so 2 ln(1 + (1/3)/4) = 2 ln(13/12)."""
    toy.alternates, toy.refusals = toy.refusals, None
    assert forget("altpo(beta=1)", toy) == pytest.approx(2 * math.log(13 / 12), rel=1e-6)


def test_alternates_are_other_persons_answers_and_known_to_the_starting_model(away):
    context = away(METHODS["altpo"]().needs)
    batch = context.batch(context.forget_examples)
    seen = {e.key: set() for e in batch.examples}
    for context.step in range(20):
        other = context.alternates(batch)
        assert context.reference_nll(other).shape == (len(batch),)
        for true, false in zip(batch.examples, other.examples, strict=True):
            assert false.question == true.question
            assert false.answer in {e.answer for e in context.retain_examples} - {true.answer}
            seen[true.key].add(false.answer)
        context.end()
    assert all(len(answers) > 1 for answers in seen.values())


def test_sampled_alternates_are_drawn_from_the_starting_model_before_training(away, monkeypatch):
    asked = []

    def generate(model, requests, decoding):
        asked.append((model.network.state_dict()["lm_head.weight"].clone(), requests, decoding))
        return [["w90", "w91"] for _ in requests]

    monkeypatch.setattr(alternates, "generate", generate)
    context = away(METHODS["altpo"](alternates="sampled").needs)
    [(weights, requests, decoding)] = asked
    assert not torch.equal(weights, context.model.network.lm_head.weight)
    assert (decoding.samples, decoding.temperature) == (5, 1.0)
    assert all(
        e.question in text and e.answer in text
        for e, text in zip(context.forget_examples, requests, strict=True)
    )
    other = context.alternates(context.batch(context.forget_examples))
    assert {e.answer for e in other.examples} <= {"w90", "w91"}
    assert context.reference_nll(other).shape == (len(other),)


@pytest.mark.parametrize("wrong", [{"beta": 0.0}, {"alternates": "dreamt"}])
def test_parameters_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        METHODS["altpo"](**wrong)
