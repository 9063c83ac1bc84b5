"""Without retain sequences a method that holds them would do something else under its own name."""

from __future__ import annotations

import pytest
import torch

from audit.core.errors import AuditError
from audit.methods.base import METHODS, default_budget, kind
from audit.methods.compose import parse_recipe, run_recipe
from audit.models.digests import weight_digest

HOLDING = [
    name
    for name in METHODS.names()
    if kind(METHODS[name]()) == "objective" and default_budget(METHODS[name]).retain_weight > 0
]


def without_retain(text, away):
    context = away(frozenset())
    return context.model, run_recipe(parse_recipe(text), context.model, context.forget_examples, (), 0)


@pytest.mark.parametrize("name", HOLDING)
def test_a_method_with_a_retain_term_says_that_it_has_nothing_to_hold(name, away):
    with pytest.raises(AuditError, match="E269") as caught:
        without_retain(name, away)
    assert name in caught.value.cause


@pytest.mark.parametrize("text", ["npo + gu", "npo + pcgrad", "npo + cure", "graddiff(retain=kl)", "llmu"])
def test_no_step_makes_up_for_missing_retain_sequences(text, away):
    with pytest.raises(AuditError, match="E269"):
        without_retain(text, away)


@pytest.mark.parametrize("text", ["srmu(retain_weight=0)", "ga + nullspace", "ga * guard"])
def test_whatever_else_measures_retain_sequences_says_so_too(text, away):
    """srmu compares both sides' activations to find its direction, nullspace and guard look at the start."""
    with pytest.raises(AuditError, match="E269"):
        without_retain(text, away)


@pytest.mark.parametrize(
    "text",
    [
        "ga",
        "flat",
        "whp(teacher_steps=1)",
        "npo(retain_weight=0)",
        "rmu(retain_weight=0)",
        "npo(retain_weight=0) + sam",
    ],
)
def test_what_holds_nothing_needs_no_retain_sequences(text, away):
    call, plus, rest = text.partition(" + ")
    call = call[:-1] + ", steps=2)" if "(" in call else call + "(steps=2)"
    start, made = without_retain(call + plus + rest, away)
    assert weight_digest(made) != weight_digest(start)
    assert all(torch.isfinite(weight).all() for weight in made.network.parameters())
