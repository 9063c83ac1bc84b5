"""The smoothness siblings of SAM on a few weights, by hand."""

import pytest
import torch
from two_weights import transformed, update

from audit.core.errors import AuditError
from audit.methods.base import STEPS


def quadratic(on):
    """forget = (w1^2 + 3 w2^2) / 2: gradient (w1, 3 w2), Hessian diag(1, 3)."""
    return lambda side, batch: 0.5 * (on.weights["w"].square() * torch.tensor([1.0, 3.0])).sum()


def cubic(on):
    """forget = (w1^3 + 2 w2^3) / 6: gradient (w1^2, 2 w2^2) / 2, Hessian diag(w1, 2 w2)."""
    return lambda side, batch: (on.weights["w"].pow(3) * torch.tensor([1.0, 2.0])).sum() / 6


def at(weights, loss):
    on = update(weights, lambda side, batch: loss(on)(side, batch) if side == "forget" else None)
    return on


def test_the_penalty_adds_the_hessian_along_the_gradient():
    """At (4, 1): g = (4, 3), |g| = 5, H g / |g| = (4, 9) / 5; with weight 2: (4 + 1.6, 3 + 3.6)."""
    on = at((4.0, 1.0), quadratic)
    before = on.weights["w"].detach().clone()
    forget, retain = transformed("gradient_penalty(weight=2, distance=0.5)", [4, 3], [7, 8], on)
    assert forget == pytest.approx([5.6, 6.6], rel=1e-5)
    assert retain == [7, 8]
    assert torch.equal(on.weights["w"], before)


def test_the_penalty_is_sam_where_weight_and_distance_are_its_radius():
    by_penalty, _ = transformed(
        "gradient_penalty(weight=0.3, distance=0.3)", [4, 3], [0, 0], at((4.0, 1.0), quadratic)
    )
    by_sam, _ = transformed("sam(rho=0.3)", [4, 3], [0, 0], at((4.0, 1.0), quadratic))
    assert by_penalty == pytest.approx(by_sam, rel=1e-5)


def test_curvature_adds_how_the_hessian_changes_along_the_gradient():
    """At (2, 1): g = (2, 1), v = g / sqrt 5; with mu = sqrt 5 the point ahead is (4, 2), its gradient (8, 4), d = (6, 3).

    H(4, 2) - H(2, 1) = diag(2, 2), d / |d| = (2, 1) / sqrt 5: with weight sqrt 5 the sum is (2, 1) + (4, 2). Differences of
    a quadratic gradient are exact: what they add to either product is the same.
    """
    on = at((2.0, 1.0), cubic)
    before = on.weights["w"].detach().clone()
    root = 5**0.5
    forget, retain = transformed(f"curvature_regularization(weight={root}, mu={root})", [2, 1], [7, 8], on)
    assert forget == pytest.approx([6, 3], rel=1e-5)
    assert retain == [7, 8]
    assert torch.equal(on.weights["w"], before)


def test_a_quadratic_has_no_change_of_curvature():
    forget, _ = transformed("curvature_regularization", [4, 3], [0, 0], at((4.0, 1.0), quadratic))
    assert forget == pytest.approx([4, 3], abs=1e-5)  # weight / mu = 1 times the rounding of float32


@pytest.mark.parametrize("text", ["gradient_penalty(weight=0)", "curvature_regularization(weight=0)"])
def test_without_weight_it_is_the_plain_gradient(text):
    assert transformed(text, [3, 4], [1, 1]) == [[3, 4], [1, 1]]


@pytest.mark.parametrize("text", ["gradient_penalty", "curvature_regularization"])
def test_a_zero_forget_gradient_has_no_direction_to_go(text):
    assert transformed(text, [0, 0], [1, 1]) == [[0, 0], [1, 1]]


def walked(text, changes):
    """Return where a weight is after each step when the optimizer proposes ``changes``, and the step corrects them."""
    on, step, place, places = update((0.0,)), STEPS.build(text), 0.0, []
    on.context.steps = len(changes)
    for number, change in enumerate(changes):
        on.context.step = number
        (corrected,) = step.correct(on, [torch.tensor([float(change)])])
        place += float(corrected[0])
        places.append(place)
    return places


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("weight_averaging", (3 + 7) / 2),  # after steps 3 and 4 of four
        ("weight_averaging(start=0)", (1 - 1 + 3 + 7) / 4),
        ("weight_averaging(start=0.9)", 7),
        ("weight_averaging(start=0.3)", (-1 + 3 + 7) / 3),  # floor(1.2) = 1 step is left out
    ],
)
def test_averaging_ends_at_the_mean_of_the_last_weights_and_changes_no_step_before(text, end):
    """The weight goes 1, -1, 3, 7."""
    places = walked(text, [1, -2, 4, 4])
    assert places[:3] == [1, -1, 3]
    assert places[3] == pytest.approx(end)


def test_averaging_one_step_is_that_step():
    assert walked("weight_averaging", [2]) == [2]


@pytest.mark.parametrize(
    "text",
    [
        "weight_averaging(start=1)",
        "weight_averaging(start=-0.1)",
        "gradient_penalty(weight=-1)",
        "gradient_penalty(distance=0)",
        "curvature_regularization(weight=-1)",
        "curvature_regularization(mu=0)",
    ],
)
def test_senseless_numbers_are_refused(text):
    with pytest.raises(AuditError) as caught:
        STEPS.build(text)
    assert caught.value.code == "E112"
