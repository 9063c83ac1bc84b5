"""Steps work from left to right: what one did to the gradients may not be thrown away by the next."""

from __future__ import annotations

import math

import pytest
import torch

from audit.core.errors import AuditError
from audit.methods.base import METHODS, STEPS
from audit.methods.compose import parse_recipe
from audit.models.training import Budget, train
from audit.models.update import GradientStep, Update

FORGET, RETAIN = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])
ON_GRADIENTS = [name for name in STEPS.names() if isinstance(STEPS[name](), GradientStep)]


class Run:
    """The part of a run's context that sam and pcgrad use."""

    forget, retain = "forget batch", "retain batch"

    def end(self):
        pass


def cosine_with_retain(*texts):
    """Return the cosine of the forget gradient behind these steps with the retain gradient before them.

    The terms are linear, <(1, 0), w> and <(-1, 1), w>: their gradients are the same everywhere.
    """
    weight = torch.nn.Parameter(torch.zeros(2))
    update = Update(
        Run(), {"w": weight}, None, lambda side, _: (FORGET if side == "forget" else RETAIN) @ weight
    )
    forget, retain = update.gradient("forget"), update.gradient("retain")
    for text in texts:
        forget, retain = STEPS.build(text).transform(update, forget, retain)
    return float(torch.nn.functional.cosine_similarity(forget[0], RETAIN, dim=0))


def test_what_pcgrad_takes_out_comes_back_under_a_sam_behind_it_and_stays_out_under_one_before_it():
    """<(1, 0), (-1, 1)> / sqrt 2 = -1 / sqrt 2."""
    assert cosine_with_retain("pcgrad") == pytest.approx(0, abs=1e-6)
    assert cosine_with_retain("sam(rho=0.000001)", "pcgrad") == pytest.approx(0, abs=1e-6)
    assert cosine_with_retain("pcgrad", "sam(rho=0.000001)") == pytest.approx(-1 / math.sqrt(2))


@pytest.mark.parametrize(
    ("steps", "remedy"),
    [
        ("pcgrad + sam", "write sam before pcgrad"),
        ("pcgrad + sam(rho=0)", "write sam before pcgrad"),
        ("gru + randomized_smoothing", "write randomized_smoothing before gru"),
        ("blur + sam", "write sam before blur"),
        ("cure + sam", "write sam before cure"),
        ("tar + ofmu", "write ofmu before tar"),
        ("pcgrad + gu + gru + sam", "write sam before pcgrad"),
        ("sam + ofmu", "leave sam or ofmu out"),
        ("ofmu + sam", "leave ofmu or sam out"),
        ("randomized_smoothing + pcgrad + sam", "leave randomized_smoothing or sam out"),
    ],
)
def test_a_step_that_takes_its_own_gradients_is_refused_behind_one_that_changed_them(steps, remedy):
    with pytest.raises(AuditError) as caught:
        parse_recipe(f"npo + {steps}")
    assert caught.value.code == "E295"
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    "steps",
    [
        "sam + pcgrad + tar",
        "randomized_smoothing + cure",
        "ofmu + gru",
        "gu + sam",
        "gu + ofmu + sure",
        "sure + sam",
        "nullspace + randomized_smoothing",
        "pcgrad + gru",
    ],
)
def test_any_other_order_stays_possible(steps):
    assert len(parse_recipe(f"npo + {steps}").steps) == steps.count("+") + 1


class Before:
    """Stands before a step, sets the sides against each other and keeps what the step is given."""

    def __init__(self):
        self.open = False

    def transform(self, update, forget, retain):
        retain = [r - 0.5 * f for f, r in zip(forget, retain, strict=True)]
        self.given, self.open = [*forget, *retain], True
        return forget, retain


class Behind:
    """Stands behind the step and looks where a weight moves whose gradient the step changed."""

    def __init__(self, before):
        self.before, self.lost = before, 0

    def transform(self, update, forget, retain):
        self.before.open = False
        self.returned = [*forget, *retain]
        return forget, retain

    def correct(self, update, proposed):
        changed = [a != b for a, b in zip(self.before.given, self.returned, strict=True)]
        for move, f, r in zip(proposed, changed[: len(proposed)], changed[len(proposed) :], strict=True):
            self.lost += int(((f | r) & (move != 0)).sum())
        return proposed


@pytest.mark.parametrize("name", ON_GRADIENTS)
def test_a_step_says_what_it_does_with_the_gradients_it_is_given(name, away, monkeypatch):
    """It asks for a term's gradient itself exactly if ``afresh``; what ``kept`` changes never moves."""
    before, asked, ask = Before(), [], Update.gradient

    def gradient(update, side, examples=None):
        asked.extend([side] * before.open)
        return ask(update, side, examples)

    monkeypatch.setattr(Update, "gradient", gradient)
    context = away(frozenset())
    behind = Behind(before)
    train(
        context.model,
        METHODS.build("graddiff"),
        context.forget_examples,
        context.retain_examples,
        Budget(lr=1e-3, steps=3, retain_weight=0.01),
        steps=[before, STEPS[name](), behind],
    )
    assert bool(asked) == (STEPS[name].gradients == "afresh")
    assert bool(behind.lost) == (STEPS[name].gradients != "kept")
