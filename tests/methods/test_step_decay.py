"""A weight that no term depends on has no gradient, and AdamW leaves it alone: also where steps take sides apart."""

from __future__ import annotations

import pytest
import torch

from audit.methods.base import STEPS
from audit.methods.compose import parse_recipe, run_recipe


def moved(text, away):
    """Return the names of the weights that a recipe moves in a random Llama of two blocks."""
    context = away(frozenset())
    made = run_recipe(parse_recipe(text), context.model, context.forget_examples, context.retain_examples, 0)
    before = dict(context.model.network.named_parameters())
    return {n for n, weight in made.network.named_parameters() if not torch.equal(weight, before[n])}


@pytest.mark.parametrize("steps", ["", "+ sam(rho=0)", "+ pcgrad", "+ gu", "+ sam + sure(share=1) + gu"])
def test_decay_moves_what_misdirection_of_the_first_block_depends_on_and_nothing_else(steps, away):
    names = moved(f"rmu(layer=0, weight_decay=0.1, steps=3) {steps}", away)
    first = {n for n, _ in away(frozenset()).model.network.named_parameters() if ".layers.0." in n}
    assert first < names
    assert names - first == {"model.embed_tokens.weight"}


@pytest.mark.parametrize(
    "step", [n for n in STEPS.names() if n != "tar"]
)  # tar's own term needs the whole model
def test_no_step_lets_decay_reach_further(step, away):
    plain = moved("rmu(layer=0, weight_decay=0.1, steps=2)", away)
    assert set() < moved(f"rmu(layer=0, weight_decay=0.1, steps=2) + {step}", away) <= plain


def test_a_weight_that_only_a_steps_own_gradient_reaches_moves(away):
    """The entropy of tar depends on every block."""
    names = moved("rmu(layer=0, weight_decay=0.1, steps=2) + tar(attack_steps=1, every=1)", away)
    assert names == {n for n, _ in away(frozenset()).model.network.named_parameters()}
