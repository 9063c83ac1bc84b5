"""Weightings by hand: attributions of quadratic losses, the order and pace of a curriculum."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from audit.methods.base import WEIGHTINGS
from audit.methods.weightings import curriculum, guard
from audit.models.training import Context, Example


class Run:
    """The part of a context that weightings use."""

    def __init__(self, forget, retain=()):
        self.forget_examples, self.retain_examples = tuple(forget), tuple(retain)
        self.seed, self.notes = 0, {}
        weights = [torch.zeros(2, requires_grad=True)]
        self.model = SimpleNamespace(network=SimpleNamespace(parameters=lambda: iter(weights)))

    remember = Context.remember

    @property
    def _notes(self):
        return self.notes


def quadratic(context, examples):
    """Return the gradient of the mean of |theta - c|^2 / 2 at theta = 0, c written in the answers: -mean(c)."""
    (theta,) = context.model.network.parameters()
    centres = torch.tensor([[float(x) for x in e.answer.split()] for e in examples])
    return [torch.autograd.grad(((theta - centres) ** 2).sum() / (2 * len(examples)), theta)[0]]


def points(*answers):
    return [Example(str(number), "?", answer) for number, answer in enumerate(answers)]


def test_the_attribution_is_the_cosine_with_the_mean_retain_gradient(monkeypatch):
    """Retain centres (2, 0) and (4, 0): direction (-1, 0). Forget centres along, across, 60 degrees off, against it."""
    monkeypatch.setattr(guard, "_gradient", quadratic)
    run = Run(points("1 0", "0 5", f"1 {math.sqrt(3)}", "-7 0"), points("2 0", "4 0"))
    np.testing.assert_allclose(guard.AttributionGuard().attributions(run), [1, 0, 0.5, -1], atol=1e-6)


def test_the_weights_fall_with_the_attribution_as_a_softmax(monkeypatch):
    """Cosines 1, 0, -1 at temperature 1 / ln 2: 1/2, 1 and 2, of mean 7/6."""
    monkeypatch.setattr(guard, "_gradient", quadratic)
    run = Run(points("1 0", "0 5", "-7 0"), points("2 0", "4 0"))
    weights = guard.AttributionGuard(temperature=1 / math.log(2)).weights(run, 0.0)
    np.testing.assert_allclose(weights, [3 / 7, 6 / 7, 12 / 7], rtol=1e-6)


def test_at_most_as_many_retain_as_forget_sequences_are_looked_at(monkeypatch):
    seen = []

    def look(context, examples):
        seen.append(len(examples))
        return [torch.ones(2)]

    monkeypatch.setattr(guard, "_gradient", look)
    guard.AttributionGuard().attributions(Run(points(*["1 0"] * 40), points(*["1 0"] * 90)))
    assert seen == [32, 8] + [1] * 40


def test_a_gradient_without_direction_has_no_attribution():
    assert guard.cosine([torch.zeros(2)], [torch.ones(2)]) == 0


def test_the_gradient_of_a_batch_is_the_mean_of_its_sequences_and_stays_in_scope(away):
    context = away(frozenset())
    for name, weight in context.model.network.named_parameters():
        weight.requires_grad_("layers.0.mlp" in name)
    sequences = context.forget_examples
    together = guard._gradient(context, sequences)
    singles = [guard._gradient(context, [one]) for one in sequences]
    assert len(together) == 3  # gate, up, down
    for number, whole in enumerate(together):
        torch.testing.assert_close(whole, torch.stack([one[number] for one in singles]).mean(0))
    one = sequences[:1]
    theirs = torch.autograd.grad(
        context.mean_nll(context.batch(one)),
        [w for w in context.model.network.parameters() if w.requires_grad],
    )
    for ours, wanted in zip(singles[0], theirs, strict=True):
        torch.testing.assert_close(ours, wanted)


LOSSES = np.array([0.1, 0.4, 0.2, 0.3])


def paced(monkeypatch, share, **settings):
    monkeypatch.setattr(curriculum, "losses", lambda _: LOSSES)
    made = WEIGHTINGS["curriculum"](initial=0.25, full=0.5, **settings)
    return made.weights(Run(points(*"abcd")), share).tolist()


@pytest.mark.parametrize(
    ("share", "weights"),
    [
        (0.0, [0, 4, 0, 0]),  # a quarter: the largest loss
        (1 / 6, [0, 2, 0, 2]),  # 1/4 + 3/4 of 1/3 is a half
        (1 / 3, [0, 4 / 3, 4 / 3, 4 / 3]),  # three quarters
        (0.5, [1, 1, 1, 1]),
        (0.9, [1, 1, 1, 1]),
    ],
)
def test_the_least_known_answers_come_first_and_the_others_join_at_a_linear_pace(monkeypatch, share, weights):
    assert paced(monkeypatch, share) == pytest.approx(weights)


def test_the_control_begins_with_the_best_known_answers(monkeypatch):
    assert paced(monkeypatch, 0.0, first="hard") == [4, 0, 0, 0]
    assert paced(monkeypatch, 1 / 6, first="hard") == [2, 0, 2, 0]


def test_the_order_is_by_the_mean_nll_per_token(away):
    context = away(frozenset())
    batch = context.batch(context.forget_examples)
    logits, targets, rows = context.answer_logits(batch)
    logp = logits.log_softmax(-1)[torch.arange(len(targets)), targets]
    wanted = [-logp[rows == row].mean().item() for row in range(len(batch))]
    np.testing.assert_allclose(curriculum.losses(context), wanted, rtol=1e-5)


@pytest.mark.parametrize("text", ["guard(temperature=-1)", "curriculum(initial=0)", "curriculum(full=1.5)"])
def test_settings_without_a_meaning_are_refused(text):
    with pytest.raises(Exception, match="E112"):
        WEIGHTINGS.build(text)
