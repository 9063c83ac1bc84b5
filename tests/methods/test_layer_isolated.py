"""On the toy the retain loss is 1.5 ln 2 per token; there are two retain sequences, one per step."""

from __future__ import annotations

import math

import pytest

from audit.methods.base import METHODS

LOSS = 1.5 * math.log(2)


@pytest.fixture
def two(toy):
    toy.retain_examples = ("one", "other")
    return toy


def test_the_forget_term_is_gradient_ascent(forget):
    assert forget("layer_isolated") == pytest.approx(-LOSS)


@pytest.mark.parametrize(
    ("rise", "weight"), [(-3, 1.2), (0, 1.2), (0.5, 0.3 * math.sqrt(6) + 0.8), (1, 2.3), (1e9, 2.3)]
)
def test_the_retain_weight_rises_with_the_loss_between_floor_and_ceiling(rise, weight):
    """0.3 6^d + 0.8: 1.1 at 0 and 2.6 at 1, both cut."""
    assert METHODS["layer_isolated"]().multiplier(rise) == pytest.approx(weight)


def test_another_ceiling():
    assert METHODS["layer_isolated"](ceiling=2.8).multiplier(1) == pytest.approx(2.6)


def test_the_first_epoch_has_the_floor_and_sets_the_average(two, batch):
    """Losses l and l + 0.2 in the epoch average l + 0.1; then l + 0.6 is a rise of 0.5."""
    method = METHODS["layer_isolated"]()
    start = two.nlls["answer"]
    seen = []
    for two.step, more in ((0, 0.0), (1, 0.2), (2, 0.6)):
        two.nlls["answer"] = start + 2 * more  # two tokens
        seen.append(method.retain_term(two, batch).item())
    assert seen[:2] == pytest.approx([1.2 * LOSS, 1.2 * (LOSS + 0.2)])
    assert seen[2] == pytest.approx((0.3 * math.sqrt(6) + 0.8) * (LOSS + 0.6))


@pytest.mark.parametrize(("steps", "firsts"), [(1, 1), (8, 1), (9, 2), (16, 2), (60, 8), (800, 100)])
def test_many_retain_sequences_do_not_keep_the_floor_for_longer_than_an_eighth_of_the_steps(
    steps, firsts, toy, batch
):
    """One sequence per step and 100 in the set. The loss is l in the first part, then l + 0.5: d is 0.5."""
    method, start = METHODS["layer_isolated"](), toy.nlls["answer"]
    toy.retain_examples, toy.steps = ("one",) * 100, steps
    for toy.step in range(steps):
        toy.nlls["answer"] = start + (toy.step >= firsts)  # two tokens
        weight = 1.2 if toy.step < firsts else 0.3 * math.sqrt(6) + 0.8
        loss = LOSS + 0.5 * (toy.step >= firsts)
        assert method.retain_term(toy, batch).item() == pytest.approx(weight * loss)


def test_the_weight_itself_has_no_gradient(two, batch):
    METHODS["layer_isolated"]().retain_term(two, batch).backward()
    assert two.nlls["answer"].grad.item() == pytest.approx(1.2 / 2)


def test_a_ceiling_below_the_floor_is_refused():
    with pytest.raises(ValueError, match="ceiling"):
        METHODS["layer_isolated"](ceiling=1.0)
