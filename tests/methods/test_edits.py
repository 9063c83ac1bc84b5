"""Edits on toys of a few weights, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from audit.core.errors import AuditError
from audit.core.seeds import derive
from audit.methods.base import METHODS
from audit.methods.compose import parse_recipe
from audit.methods.edits import preference_vector
from audit.methods.edits.k_fade import Spectrum, divergence, longest
from audit.methods.edits.loss_curvature import entering
from audit.methods.edits.preference_vector import Preference
from audit.methods.edits.reach import consulted
from audit.methods.edits.ssd import fisher
from audit.methods.edits.u_can import Activity
from audit.models.batches import forward_answer_logits
from audit.models.curvature import Factors, batches, kfac
from audit.models.layers import linears
from audit.models.scope import Scope
from audit.models.training import Budget, Example


def test_ssd_shrinks_weights_that_matter_ten_times_more_to_the_forget_set():
    """F_f / F = 20, 5, infinite: 1/20 of the first is left, all of the second, nothing of the third."""
    forget, others = torch.tensor([20.0, 5.0, 20.0]), torch.tensor([1.0, 1.0, 0.0])
    assert METHODS.build("ssd").factor(forget, others).tolist() == pytest.approx([0.05, 1, 0])


def test_ssd_never_enlarges_a_weight():
    """Dampening 30: min(30 / 20, 1)."""
    assert METHODS.build("ssd(dampening=30)").factor(torch.tensor([20.0]), torch.tensor([1.0])).tolist() == [
        1
    ]


def test_a_weight_that_matters_to_nobody_is_left_alone():
    zero = torch.zeros(1)
    assert METHODS.build("ssd").factor(zero, zero).tolist() == [1]


def test_fisher_is_the_mean_of_squared_slopes_of_single_sequences(away):
    """Slopes by central differences, sequence by sequence; a batch of both would give the square of a sum."""
    model = away(frozenset()).model
    examples = [Example("one", "where now where", "w3 w15"), Example("two", "now", "w7")]
    weight = model.network.model.norm.weight
    found = fisher(model, examples, {"model.norm.weight": weight})[0]

    def nll(example):
        (batch,) = batches(model, [example], 1)
        with torch.no_grad():
            logits = forward_answer_logits(model.network, batch).double()
        return float(torch.nn.functional.cross_entropy(logits, batch.targets, reduction="sum"))

    for index in (0, 7):
        squares = []
        for example in examples:
            ends = []
            for step in (1e-2, -2e-2):
                with torch.no_grad():
                    weight[index] += step
                ends.append(nll(example))
            with torch.no_grad():
                weight[index] += 1e-2
            squares.append(((ends[0] - ends[1]) / 2e-2) ** 2)
        assert float(found[index]) == pytest.approx(np.mean(squares), rel=0.02)


@pytest.mark.parametrize("against", ["retain", "full"])
def test_ssd_compares_with_the_retain_sequences_or_with_both_sides_together(against, away):
    """The other data's information is the mean over four retain sequences, or over all nine."""
    context = away(frozenset())
    model, forget, retain = context.model, context.forget_examples, context.retain_examples
    weight = model.network.model.norm.weight
    others = retain if against == "retain" else [*forget, *retain]
    f, r = (fisher(model, side, {"norm": weight})[0].double().numpy() for side in (forget, others))
    expected = weight.detach().double().numpy() * np.where(f > 1.2 * r, np.minimum(0.5 * r / f, 1), 1)
    assert 0 < (f > 1.2 * r).sum() < len(f)
    edit = METHODS.build(f"ssd(selection=1.2, dampening=0.5, against={against})")
    edit.apply(model, forget, retain, Budget(steps=1), Scope(), 0)
    assert weight.detach().numpy() == pytest.approx(expected, rel=1e-4)


W = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
FACTORS = Factors(inputs=torch.diag(torch.tensor([1.0, 3.0])), gradients=torch.diag(torch.tensor([2.0, 1.0])))


@pytest.mark.parametrize(
    ("mass", "kept"),
    [
        (0.5, [[0, 2], [0, 0]]),
        (0.6, [[0, 2], [0, 4]]),
        (0.75, [[0, 2], [0, 4]]),
        (0.9, [[1, 2], [0, 4]]),
        (1.0, [[1, 2], [3, 4]]),
    ],
)
def test_the_fewest_entries_that_carry_the_mass_are_kept(mass, kept):
    """Curvature lambda_i mu_j = [[2, 6], [1, 3]] of 12: in descending order 6, 9, 11, 12 are reached."""
    found = METHODS.build(f"loss_curvature(mass={mass})").kept(W, FACTORS)
    torch.testing.assert_close(found, torch.tensor(kept, dtype=torch.float64))


def test_entries_are_those_of_the_factors_own_eigenbasis():
    """Rotating inputs and outputs rotates what is kept."""
    edit = METHODS.build("loss_curvature(mass=0.6)")
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    other = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=torch.float64)
    rotated = Factors(turn @ FACTORS.inputs.double() @ turn.T, other @ FACTORS.gradients.double() @ other.T)
    found = edit.kept(other @ W @ turn.T, rotated)
    torch.testing.assert_close(found, other @ edit.kept(W, FACTORS) @ turn.T)


def test_curvature_is_edited_where_feed_forward_parts_begin(away):
    network = away(frozenset()).model.network
    names = entering({one.name: one for one in linears(network)})
    assert [name.rpartition(".")[2] for name in names] == ["gate_proj", "up_proj"] * 2


def test_only_where_feed_forward_parts_begin_weights_lose_their_low_curvature(away):
    """Every other tensor stays; the entries of one are kept one by one until they carry .6, by the whole factors."""
    context = away(frozenset())
    model, retain = context.model, context.retain_examples
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    name = "model.layers.1.mlp.up_proj"
    dice = torch.Generator().manual_seed(derive(0, "loss_curvature signs"))
    names = list(entering({one.name: one for one in linears(model.network)}))
    factors = kfac(model, batches(model, retain, 32), names, dice)[name]
    (mu, u), (lam, v) = (np.linalg.eigh(f.double().numpy()) for f in factors)
    old = before[f"{name}.weight"].double().numpy()
    pairs = sorted(((lam[i] * mu[j], i, j) for i in range(len(lam)) for j in range(len(mu))), reverse=True)
    expected, carried, whole = np.zeros_like(old), 0.0, sum(max(c, 0) for c, _, _ in pairs)
    for curvature, i, j in pairs:
        if carried >= 0.6 * whole:
            break
        expected += (v[:, i] @ old @ u[:, j]) * np.outer(v[:, i], u[:, j])
        carried += curvature
    METHODS.build("loss_curvature").apply(model, (), retain, Budget(), Scope(), 0)
    after = model.network.state_dict()
    np.testing.assert_allclose(after[f"{name}.weight"].numpy(), expected, atol=1e-4)
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved == {f"model.layers.{i}.mlp.{end}_proj.weight" for i in (0, 1) for end in ("gate", "up")}


def test_k_fade_divides_the_slope_by_the_damped_kronecker_curvature():
    """Against the dense system (G x A + damping * mean) vec = slope of a 2 by 3 matrix."""
    dice = np.random.default_rng(0)
    a, g = (x @ x.T for x in (dice.standard_normal((3, 3)), dice.standard_normal((2, 2))))
    slope = dice.standard_normal((2, 3))
    dense = np.kron(g, a)
    mean = np.outer(np.linalg.eigvalsh(g), np.linalg.eigvalsh(a)).mean()
    expected = np.linalg.solve(dense + 0.3 * mean * np.eye(6), slope.flatten()).reshape(2, 3)
    factors = Factors(torch.tensor(a), torch.tensor(g))
    found = Spectrum.of(factors, damping=0.3).divided(torch.tensor(slope))
    assert found.numpy() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("limit", [1e-6, 0.013, 0.4, 0.99, 5.0])
def test_the_longest_step_that_obeys_is_found(limit):
    found = longest(lambda length: length <= limit, 1.0)
    assert 0.95 * min(limit, 1.0) <= found <= limit


def test_no_step_is_taken_where_none_obeys():
    assert longest(lambda length: False, 1.0) == 0


def test_divergence_is_a_mean_over_answer_tokens():
    """KL((1/2, 1/2) || (1/4, 3/4)) = ln 2 / 2 + ln(2/3) / 2 at one of four tokens in two batches."""
    half, quarter = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    now = [torch.cat([half, half, half]), quarter]
    expected = (math.log(2) + math.log(2 / 3)) / 2 / 4
    assert divergence([half.expand(3, 2), half], now) == pytest.approx(expected, rel=1e-5)


def test_u_can_turns_down_units_that_are_busier_on_forget_answers():
    """Contrasts 1/3, 1/6 and 0 scale to 1, .5, 0; utilities 1, 2 and 3 to 0, .5, 1; risks 1, .25 and -.5.

    Beyond the threshold .2 lie .8 and .05 of them: exp(-.8), exp(-.05) and 1.
    """
    forget = Activity(torch.tensor([2.0, 1.4, 1.0]), torch.tensor([9.0, 9.0, 9.0]))
    retain = Activity(torch.tensor([1.0, 1.0, 1.0]), torch.tensor([1.0, 2.0, 3.0]))
    edit = METHODS.build("u_can(decay=1, threshold=0.2, utility_weight=0.5)")
    found = edit.factors(forget, retain, torch.ones(2, 3))
    assert found.tolist() == pytest.approx([math.exp(-0.8), math.exp(-0.05), 1])


def test_u_can_leaves_silent_units_alone():
    silent = Activity(torch.zeros(2), torch.zeros(2))
    assert METHODS.build("u_can").factors(silent, silent, torch.ones(2, 2)).tolist() == [1, 1]


def test_both_preference_tunings_are_the_same_loss_the_other_way_round(toy, batch):
    """Ratios 4 (refusal) and 1/3 (answer): 2 ln(1 + 1/12) towards refusing, 2 ln(1 + 12) towards answering."""
    refuse, answer = (Preference(1.0, sign).forget_term(toy, batch).item() for sign in (1, -1))
    assert refuse == pytest.approx(2 * math.log(13 / 12), rel=1e-6)
    assert answer == pytest.approx(2 * math.log(13), rel=1e-6)


class Model:
    """Two weights of which tuning moves the first only."""

    def __init__(self, values=(1.0, 2.0)):
        self.network = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(v)) for v in values])

    def clone(self):
        return Model([w.item() for w in self.network])


def test_a_preference_vector_is_the_scaled_difference_of_both_tunings(monkeypatch):
    """Towards refusing 1 -> 2, towards answering 1 -> -1: 1 + .5 (2 - -1) = 2.5."""

    def tuned(model, objective, *_, **__):
        with torch.no_grad():
            model.network[0].add_(1.0 if objective.sign == 1 else -2.0)

    monkeypatch.setattr(preference_vector, "train", tuned)
    model = Model()
    METHODS.build("preference_vector(scale=0.5)").apply(model, (), (), Budget(), Scope(), 0)
    assert [w.item() for w in model.network] == [2.5, 2.0]


def test_a_budget_is_a_number_of_sequences():
    examples = [Example(str(i), "q", "a") for i in range(10)]
    assert consulted(examples, Budget(steps=5, batch=4), 0, "x") == examples
    some = consulted(examples, Budget(steps=3, batch=2), 0, "x")
    assert len(some) == 6
    assert some == sorted(some, key=lambda e: int(e.key))
    assert some == consulted(examples, Budget(steps=3, batch=2), 0, "x")
    assert some != consulted(examples, Budget(steps=3, batch=2), 1, "x")
    assert consulted(examples, Budget(steps=0), 0, "x") == []


def test_an_edits_text_holds_the_budget_it_uses_and_no_more():
    assert str(parse_recipe("ssd(selection=5)")) == (
        "ssd(selection=5.0, dampening=1.0, against=retain, steps=20, batch=32) @all"
    )
    assert parse_recipe("ssd(steps=7)").short == "ssd(steps=7)"
    with pytest.raises(AuditError, match="E112") as caught:
        parse_recipe("ssd(lr=0.1)")
    assert "steps" in caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "ssd(selection=-1)",
        "ssd(against=all)",
        "loss_curvature(mass=1.1)",
        "k_fade(damping=0)",
        "k_fade(divergence=-1)",
        "u_can(decay=-1)",
        "adapter_drop(share=2)",
        "preference_vector(scale=-1)",
        "preference_vector(beta=0)",
    ],
)
def test_a_parameter_outside_its_range_is_refused_by_name(text):
    with pytest.raises(AuditError, match="E112"):
        METHODS.build(text)
