"""Every objective on two answer tokens over five words, against values derived by hand.

The answer is (word 0, word 1). Now p = (1/2, 1/4), so l = ln 2 + ln 4 = 3 ln 2 and p(answer) = 1/8. At the
start p0 = (3/4, 1/2), so p0(answer) = 3/8. The refusal has p = 1/25 now (two uniform words), 1/100 then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch

from audit.core.errors import AuditError
from audit.methods.base import METHODS

NOW = torch.tensor([[1 / 2, 1 / 8, 1 / 8, 1 / 8, 1 / 8], [1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 4]]).log()
TARGETS = torch.tensor([0, 1])
NLL, NLL0 = 3 * math.log(2), math.log(8 / 3)
REFUSAL, REFUSAL0 = math.log(25), math.log(100)
UNIFORM = torch.full((2, 5), 1 / 5).log()


@dataclass
class Sequence:
    """A batch of one sequence with two answer tokens."""

    name: str
    rows: torch.Tensor = field(default_factory=lambda: torch.tensor([0, 0]))

    def __len__(self):
        return 1


@dataclass
class Toy:
    """One sequence; ``answer`` and ``refusal`` are the only batches there are."""

    nlls: dict
    starts: dict

    def nll(self, batch):
        return self.nlls[batch.name]

    def mean_nll(self, batch):
        return self.nlls[batch.name].sum() / 2

    def reference_nll(self, batch):
        return self.starts[batch.name]

    def refusals(self, batch):
        return Sequence("refusal")

    def answer_logits(self, batch):
        return NOW + 3.0, TARGETS, torch.zeros(2, dtype=torch.long)  # logits are free up to a constant

    def reference_logits(self, batch):
        return UNIFORM


@pytest.fixture
def batch():
    return Sequence("answer")


@pytest.fixture
def toy():
    return toy_at(NLL)


def toy_at(nll):
    now = torch.tensor([nll], dtype=torch.float64, requires_grad=True)
    return Toy(
        {"answer": now, "refusal": torch.tensor([REFUSAL], dtype=torch.float64)},
        {"answer": torch.tensor([NLL0], dtype=torch.float64), "refusal": torch.tensor([REFUSAL0])},
    )


def forget(text, toy, batch):
    return METHODS.build(text).forget_term(toy, batch).item()


def retain(text, toy, batch):
    return METHODS.build(text).retain_term(toy, batch).item()


def test_gradient_ascent_is_minus_the_mean_nll_per_token(toy, batch):
    """-(ln 2 + ln 4) / 2 = -1.5 ln 2."""
    assert forget("ga", toy, batch) == pytest.approx(-1.5 * math.log(2), rel=1e-9)


def test_gradient_ascent_refuses_a_retain_term(toy, batch):
    with pytest.raises(ValueError, match="graddiff"):
        retain("ga", toy, batch)


def test_graddiff_ascends_on_forget_and_descends_on_retain(toy, batch):
    assert forget("graddiff", toy, batch) == pytest.approx(-1.5 * math.log(2), rel=1e-9)
    assert retain("graddiff", toy, batch) == pytest.approx(1.5 * math.log(2), rel=1e-9)


def test_graddiff_kl_is_the_divergence_from_the_starting_model_averaged_over_answer_tokens(toy, batch):
    """KL(uniform || p) = sum 1/5 ln((1/5)/p).

    Token 1: (ln 2/5 + 4 ln 8/5)/5. Token 2: (3 ln 4/5 + 2 ln 8/5)/5. Their mean is the term.
    """
    first = (math.log(2 / 5) + 4 * math.log(8 / 5)) / 5
    second = (3 * math.log(4 / 5) + 2 * math.log(8 / 5)) / 5
    assert retain("graddiff(retain=kl)", toy, batch) == pytest.approx((first + second) / 2, rel=1e-6)


def test_npo_is_the_log_sigmoid_of_the_likelihood_ratio(toy, batch):
    """Beta 1: -2 ln sigmoid(-ln(1/3)) = 2 ln(1 + 1/3). Beta 2: ln(1 + 1/9)."""
    assert forget("npo(beta=1)", toy, batch) == pytest.approx(2 * math.log(4 / 3), rel=1e-9)
    assert forget("npo(beta=2)", toy, batch) == pytest.approx(math.log(10 / 9), rel=1e-9)


def slope(text, nll, batch):
    toy = toy_at(nll)
    METHODS.build(text).forget_term(toy, batch).backward()
    return toy.nlls["answer"].grad.item()


def test_npo_slope_at_half_a_nat_is_the_published_check_and_tends_to_gradient_ascent(batch):
    """dL/dl = -2 sigmoid(-beta (l - l0)): -2 / (1 + e^0.05) at beta 0.1, l - l0 = 0.5; -1 as beta -> 0."""
    assert slope("npo(beta=0.1)", NLL0 + 0.5, batch) == pytest.approx(-0.975, abs=5e-4)
    assert slope("npo(beta=0.000001)", NLL0 + 0.5, batch) == pytest.approx(-1, abs=1e-6)


def test_npo_lets_go_of_what_is_forgotten(batch):
    """A thousand nats past the start at beta 0.1 the slope is -2 e^-100."""
    assert abs(slope("npo(beta=0.1)", NLL0 + 1000, batch)) < 1e-40


def test_simnpo_compares_the_nll_per_token_with_the_margin(toy, batch):
    """Beta 1, margin 0: 2 ln(1 + 2^-1.5). Margin ln 2: 2 ln(1 + 2^-0.5)."""
    assert forget("simnpo(beta=1)", toy, batch) == pytest.approx(2 * math.log(1 + 2**-1.5), rel=1e-9)
    assert forget(f"simnpo(beta=1, margin={math.log(2)})", toy, batch) == pytest.approx(
        2 * math.log(1 + 2**-0.5), rel=1e-9
    )


def test_idk_sft_is_the_mean_nll_of_the_refusal(toy, batch):
    """ln 25 / 2 = ln 5."""
    assert forget("idk_sft", toy, batch) == pytest.approx(math.log(5), rel=1e-9)


def test_idk_dpo_is_the_log_sigmoid_of_the_margin_between_refusal_and_answer(toy, batch):
    """Beta 1: ratios 4 (refusal) and 1/3 (answer), so 2 ln(1 + (1/3)/4) = 2 ln(13/12)."""
    assert forget("idk_dpo(beta=1)", toy, batch) == pytest.approx(2 * math.log(13 / 12), rel=1e-6)


class Activations:
    """Two tokens of a three-wide layer and one of padding, which started at (3, 4, 0) and (0, 0, 1)."""

    model = SimpleNamespace(network=SimpleNamespace(config=SimpleNamespace(num_hidden_layers=4)))

    def hidden(self, batch, layer):
        now = torch.tensor([[[3.0, 4.0, 0.0], [0.0, 0.0, 4.0], [9.0, 9.0, 9.0]]])
        return now, torch.tensor([[1, 1, 0]])

    def reference_hidden(self, batch, layer):
        return torch.tensor([[[3.0, 4.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]])


@pytest.fixture
def activations(monkeypatch):
    for name in ("rmu", "rmu_adaptive"):
        module = __import__(f"audit.methods.objectives.{name}", fromlist=[name])
        monkeypatch.setattr(module, "block_at", lambda context, depth: 0)
        monkeypatch.setattr(module, "direction", lambda context, hidden: torch.tensor([0.6, 0.8, 0.0]))
    return Activations()


def test_rmu_measures_the_distance_to_the_target_on_real_tokens(activations, batch):
    """Target 5u = (3, 4, 0): token 1 is there, token 2 off by 9 + 16 + 16 = 41. Mean over 2 tokens, H = 3."""
    assert forget("rmu(c=5)", activations, batch) == pytest.approx(41 / 6)


def test_rmu_drift_is_the_distance_to_the_starting_activations(activations, batch):
    """Token 2 moved by (4 - 1)^2 = 9. Mean over 2 tokens and H = 3."""
    assert retain("rmu", activations, batch) == pytest.approx(9 / 6)
    assert retain("rmu_adaptive", activations, batch) == pytest.approx(9 / 6)


def test_adaptive_rmu_scales_the_target_with_the_starting_activation(activations, batch):
    """Beta 1: |h0| = 5, 1. Token 1 is at its target, token 2 off by .36 + .64 + 16 = 17. Beta 2: 25, 20."""
    assert forget("rmu_adaptive(beta=1)", activations, batch) == pytest.approx(17 / 6)
    assert forget("rmu_adaptive(beta=2)", activations, batch) == pytest.approx((25 + 20) / 6)


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
