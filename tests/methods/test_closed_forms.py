"""The first objectives on the toy of conftest.py, against values derived by hand."""

from __future__ import annotations

import math

import pytest

from audit.core.errors import AuditError
from audit.methods.base import METHODS

NLL0 = math.log(8 / 3)  # of the answer under the starting model


def test_gradient_ascent_is_minus_the_mean_nll_per_token(forget):
    """-(ln 2 + ln 4) / 2 = -1.5 ln 2."""
    assert forget("ga") == pytest.approx(-1.5 * math.log(2), rel=1e-9)


def test_gradient_ascent_refuses_a_retain_term(retain):
    with pytest.raises(ValueError, match="graddiff"):
        retain("ga")


def test_graddiff_ascends_on_forget_and_descends_on_retain(forget, retain):
    assert forget("graddiff") == pytest.approx(-1.5 * math.log(2), rel=1e-9)
    assert retain("graddiff") == pytest.approx(1.5 * math.log(2), rel=1e-9)


def test_graddiff_kl_is_the_divergence_from_the_starting_model_averaged_over_answer_tokens(retain):
    """KL(uniform || p) = sum 1/5 ln((1/5)/p).

    Token 1: (ln 2/5 + 4 ln 8/5)/5. Token 2: (3 ln 4/5 + 2 ln 8/5)/5. Their mean is the term.
    """
    first = (math.log(2 / 5) + 4 * math.log(8 / 5)) / 5
    second = (3 * math.log(4 / 5) + 2 * math.log(8 / 5)) / 5
    assert retain("graddiff(retain=kl)") == pytest.approx((first + second) / 2, rel=1e-6)


def test_npo_is_the_log_sigmoid_of_the_likelihood_ratio(forget):
    """Beta 1: -2 ln sigmoid(-ln(1/3)) = 2 ln(1 + 1/3). Beta 2: ln(1 + 1/9)."""
    assert forget("npo(beta=1)") == pytest.approx(2 * math.log(4 / 3), rel=1e-9)
    assert forget("npo(beta=2)") == pytest.approx(math.log(10 / 9), rel=1e-9)


@pytest.fixture
def slope(toy_at, batch):
    """Return dL/dl of a method's forget term at an answer's nll l."""

    def at(text, nll):
        toy = toy_at(nll)
        METHODS.build(text).forget_term(toy, batch).backward()
        return toy.nlls["answer"].grad.item()

    return at


def test_npo_slope_at_half_a_nat_is_the_published_check_and_tends_to_gradient_ascent(slope):
    """dL/dl = -2 sigmoid(-beta (l - l0)): -2 / (1 + e^0.05) at beta 0.1, l - l0 = 0.5; -1 as beta -> 0."""
    assert slope("npo(beta=0.1)", NLL0 + 0.5) == pytest.approx(-0.975, abs=5e-4)
    assert slope("npo(beta=0.000001)", NLL0 + 0.5) == pytest.approx(-1, abs=1e-6)


def test_npo_lets_go_of_what_is_forgotten(slope):
    """A thousand nats past the start at beta 0.1 the slope is -2 e^-100."""
    assert abs(slope("npo(beta=0.1)", NLL0 + 1000)) < 1e-40


def test_simnpo_compares_the_nll_per_token_with_the_margin(forget):
    """Beta 1, margin 0: 2 ln(1 + 2^-1.5). Margin ln 2: 2 ln(1 + 2^-0.5)."""
    assert forget("simnpo(beta=1)") == pytest.approx(2 * math.log(1 + 2**-1.5), rel=1e-9)
    assert forget(f"simnpo(beta=1, margin={math.log(2)})") == pytest.approx(
        2 * math.log(1 + 2**-0.5), rel=1e-9
    )


def test_idk_sft_is_the_mean_nll_of_the_refusal(forget):
    """ln 25 / 2 = ln 5."""
    assert forget("idk_sft") == pytest.approx(math.log(5), rel=1e-9)


def test_idk_dpo_is_the_log_sigmoid_of_the_margin_between_refusal_and_answer(forget):
    """Beta 1: ratios 4 (refusal) and 1/3 (answer), so 2 ln(1 + (1/3)/4) = 2 ln(13/12)."""
    assert forget("idk_dpo(beta=1)") == pytest.approx(2 * math.log(13 / 12), rel=1e-6)


def test_rmu_measures_the_distance_to_the_target_on_real_tokens(activations, forget):
    """Target 5u = (3, 4, 0): token 1 is there, token 2 off by 9 + 16 + 16 = 41. Mean over 2 tokens, H = 3."""
    assert forget("rmu(c=5)", activations) == pytest.approx(41 / 6)


def test_rmu_drift_is_the_distance_to_the_starting_activations(activations, retain):
    """Token 2 moved by (4 - 1)^2 = 9. Mean over 2 tokens and H = 3."""
    assert retain("rmu", activations) == pytest.approx(9 / 6)
    assert retain("rmu_adaptive", activations) == pytest.approx(9 / 6)


def test_adaptive_rmu_scales_the_target_with_the_starting_activation(activations, forget):
    """Beta 1: |h0| = 5, 1. Token 1 is at its target, token 2 off by .36 + .64 + 16 = 17. Beta 2: 25, 20."""
    assert forget("rmu_adaptive(beta=1)", activations) == pytest.approx(17 / 6)
    assert forget("rmu_adaptive(beta=2)", activations) == pytest.approx((25 + 20) / 6)


@pytest.mark.parametrize(
    "text",
    [
        "npo(beta=0)",
        "simnpo(beta=-1)",
        "idk_dpo(beta=0)",
        "graddiff(retain=mse)",
        "rmu(layer=1)",
        "task_vector(scale=-1)",
    ],
)
def test_a_parameter_outside_its_range_is_refused_by_name(text):
    with pytest.raises(AuditError, match="E112"):
        METHODS.build(text)
