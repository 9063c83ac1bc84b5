"""Step transforms on two weights, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from two_weights import Run, transformed, update

from audit.core.errors import AuditError
from audit.methods.base import STEPS
from audit.methods.steps.gu import nonnegative_minimum
from audit.methods.steps.projections import place
from audit.models.update import Update


def test_pcgrad_takes_the_conflicting_part_out_of_both():
    """<f, r> = -1, |r|^2 = 2, |f|^2 = 1: f + r/2 = (.5, .5), r + f = (0, 1)."""
    assert transformed("pcgrad", [1, 0], [-1, 1]) == [[0.5, 0.5], [0, 1]]


def test_pcgrad_leaves_gradients_that_agree_as_they_are():
    assert transformed("pcgrad", [1, 0], [1, 1]) == [[1, 0], [1, 1]]
    assert transformed("pcgrad", [0, 0], [1, 1]) == [[0, 0], [1, 1]]


def test_blur_fixes_the_rate_of_forgetting():
    """r = (-1, 3) without its part along f = (2, 0) is (0, 3); <g, f> = gamma |f|^2 = 4 gamma."""
    assert transformed("blur", [2, 0], [-1, 3]) == [[2, 0], [0, 3]]
    assert transformed("blur(gamma=0.5)", [2, 0], [-1, 3]) == [[1, 0], [0, 3]]


def test_blur_projects_agreeing_retain_gradients_too():
    assert transformed("blur", [2, 0], [5, 3]) == [[2, 0], [0, 3]]


def test_blur_without_a_forget_gradient_retains():
    assert transformed("blur", [0, 0], [5, 3]) == [[0, 0], [5, 3]]


def test_gru_rectifies_the_forget_gradient_against_the_mean():
    """m = .8 (0, -5) = (0, -4), <f, m> = -20, |m|^2 = 16: f + 1.25 m = (3, 0)."""
    assert transformed("gru(rectified=forget)", [3, 5], [0, -5]) == [[3, 0], [0, 0]]


def test_gru_leaves_an_update_that_raises_no_retain_loss():
    """The whole update f + r = (3, 0) is orthogonal to m."""
    assert transformed("gru", [3, 5], [0, -5]) == [[3, 5], [0, -5]]


def test_gru_remembers_earlier_retain_gradients():
    """m = .8 (5, 0) + .2 (0, -4) = (4, -.8); f = (0, 1): <f, m> = -.8, |m|^2 = 16.64."""
    on = update()
    transformed("gru(rectified=forget)", [3, 5], [0, -5], on)
    (first, second), rest = transformed("gru(rectified=forget)", [0, 1], [5, 0], on)
    assert (first, second) == pytest.approx((0.8 / 16.64 * 4, 1 - 0.8 / 16.64 * 0.8))
    assert rest == [0, 0]


def bowl(on):
    """The forget term |w|^2 / 2, whose gradient is w; the retain term's is (7, ...) everywhere."""

    def term(side, batch):
        return 0.5 * on.weights["w"].square().sum() if side == "forget" else 7 * on.weights["w"].sum()

    return term


def test_sam_takes_the_gradient_where_the_term_is_largest_and_comes_back():
    """g = w = (3, 4), |g| = 5, rho .5: e = (.3, .4), and the gradient there is (3.3, 4.4)."""
    on = update((3.0, 4.0), lambda side, batch: bowl(on)(side, batch))
    before = on.weights["w"].detach().clone()
    forget, retain = transformed("sam(rho=0.5)", [3, 4], [1, 1], on)
    assert forget == pytest.approx([3.3, 4.4])
    assert retain == [1, 1]
    assert torch.equal(on.weights["w"], before)


def test_weights_come_back_bit_by_bit_where_adding_and_subtracting_would_not():
    on = update((1.0, 1e-8), lambda side, batch: bowl(on)(side, batch))
    before = on.weights["w"].detach().clone()
    transformed("sam(rho=0.3)", [1, 1], [0, 0], on)
    assert torch.equal(on.weights["w"], before)


@pytest.mark.parametrize("text", ["sam(rho=0)", "randomized_smoothing(sigma=0)"])
def test_no_neighbourhood_is_the_plain_gradient(text):
    assert transformed(text, [3, 4], [1, 1]) == [[3, 4], [1, 1]]


def test_a_zero_forget_gradient_has_no_direction_to_go():
    assert transformed("sam", [0, 0], [1, 1]) == [[0, 0], [1, 1]]


def test_smoothing_averages_the_gradient_over_noise_of_the_stated_size():
    """The gradient of |w|^2 / 2 at w + e is w + e: the mean of 4 noises has standard deviation sigma / 2."""
    on = update([1.0] * 40_000, lambda side, batch: bowl(on)(side, batch))
    before = on.weights["w"].detach().clone()
    zeros = [0.0] * 40_000
    forget, _ = transformed("randomized_smoothing(sigma=0.1, draws=4)", zeros, zeros, on)
    noise = np.array(forget) - 1
    assert noise.std() == pytest.approx(0.05, rel=0.02)  # 40,000 draws: 0.35 % standard error
    assert abs(noise.mean()) < 4 * 0.05 / 200
    assert torch.equal(on.weights["w"], before)


def adam(weight, root_v):
    """Return AdamW after one step in which sqrt(v) + eps came to ``root_v``."""
    optimizer = torch.optim.AdamW([weight], lr=1.0, betas=(0.9, 0.5), eps=0.5)
    squares = (torch.tensor(root_v) - 0.5) ** 2 * (1 - 0.5)
    optimizer.state[weight] = {"step": torch.tensor(1.0), "exp_avg_sq": squares}
    return optimizer


def corrected(retains, proposed, root_v, text="gu"):
    parameter = torch.nn.Parameter(torch.zeros(len(proposed)))
    on = Update(Run(), {"w": parameter}, adam(parameter, root_v), None)
    step = STEPS.build(text)
    for retain in retains:
        gradient = [torch.tensor(retain, dtype=torch.float32)]
        assert step.transform(on, gradient, gradient) == (gradient, gradient)
    given = [torch.tensor(proposed, dtype=torch.float32)]
    return step.correct(on, given)[0], given[0]


def test_gu_takes_out_of_the_step_what_raises_the_retain_loss_in_the_optimizers_metric():
    """H = diag(1, 2), c = (1, 1)/sqrt 2, d = (1, 2): <c, d> = 3/sqrt 2, c'H^-1c = .75, mu c = 2 (1, 1).

    d' = d - H^-1 (2, 2) = (1, 2) - (2, 1) = (-1, 1), and <c, d'> = 0.
    """
    found, _ = corrected([[3.0, 3.0]], [1.0, 2.0], [1.0, 2.0])
    assert found.tolist() == pytest.approx([-1, 1], abs=1e-6)


def test_gu_hands_a_step_that_raises_no_retain_loss_back_as_it_came():
    found, given = corrected([[3.0, 3.0]], [-1.0, 0.5], [1.0, 2.0])
    assert found is given


def test_gu_remembers_earlier_retain_gradients_as_far_as_its_history():
    """d = (1, 0) raises the first loss only: with history 0 only the last one counts."""
    both = [[1.0, 0.0], [0.0, 1.0]]
    assert corrected(both, [1.0, 0.0], [1.0, 1.0])[0].tolist() == pytest.approx([0, 0], abs=1e-6)
    found, given = corrected(both, [1.0, 0.0], [1.0, 1.0], "gu(history=0)")
    assert found is given


@pytest.mark.parametrize("seed", range(20))
def test_gu_solves_its_quadratic_programme(seed):
    """Optimality by hand: feasible, mu >= 0, mu = 0 where slack, and d - d' = H^-1 sum mu c."""
    dice = np.random.default_rng(seed)
    metric = dice.uniform(0.6, 3, 6)
    retains = dice.standard_normal((4, 6))
    proposed = dice.standard_normal(6)
    found = corrected(retains.tolist(), proposed.tolist(), metric.tolist())[0].double().numpy()
    units = retains / np.linalg.norm(retains, axis=1, keepdims=True)
    assert (units @ found < 1e-5).all()
    multipliers = np.linalg.lstsq(units.T, metric * (proposed - found), rcond=None)[0]
    assert units.T @ multipliers == pytest.approx(metric * (proposed - found), abs=1e-4)
    assert (multipliers > -1e-4).all()
    assert multipliers * (units @ found) == pytest.approx(np.zeros(4), abs=1e-4)


def test_collinear_constraints_have_a_solution():
    """Twice the same constraint c = (1), d = 1 in H = 1: mu_1 + mu_2 = 1."""
    found = nonnegative_minimum(np.ones((2, 2)), np.ones(2))
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()


def sure(text, gradient, name="net.weight"):
    """Return the step and an update over one matrix: the forget gradient, its rows upside down for the retain term."""
    weight = torch.nn.Parameter(torch.zeros(len(gradient), len(gradient[0])))
    direction = torch.tensor(gradient, dtype=torch.float32)
    towards = {"forget": direction, "retain": direction.flip(0)}
    on = Update(Run(), {name: weight}, None, lambda side, batch: (towards[side] * weight).sum())
    on.context.forget_examples = ("all of them",)
    on.context.batch = lambda examples: examples
    on.context.model = SimpleNamespace(network=None)
    return STEPS.build(text), on


@pytest.fixture
def plain_rows(monkeypatch):
    monkeypatch.setattr("audit.methods.steps.sure.output_axis", lambda network, name: 0)


def test_sure_lets_only_the_most_salient_neurons_move(plain_rows):
    """Row norms 5, 1, 2, 0: the upper quarter is row 0, the upper half rows 0 and 2."""
    rows = [[3, 4], [0, 1], [2, 0], [0, 0]]
    for text, kept in (("sure(share=0.25)", [0]), ("sure(share=0.5)", [0, 2])):
        step, on = sure(text, rows)
        step.prepare(on)
        ones = [torch.ones(4, 2)]
        masked = [*step.transform(on, ones, ones), step.correct(on, ones)]
        for values in masked:
            assert values[0].sum(1).nonzero().flatten().tolist() == kept


def test_sure_never_moves_a_neuron_without_a_gradient(plain_rows):
    """Three of four rows are zero, so the 70th percentile is zero; still only the fourth moves."""
    step, on = sure("sure(share=0.3)", [[0, 0], [0, 0], [0, 0], [0, 2]])
    step.prepare(on)
    moved = step.correct(on, [torch.ones(4, 2)])[0]
    assert moved.tolist() == [[0, 0], [0, 0], [0, 0], [1, 1]]


def test_sure_keeps_its_choice_of_neurons(plain_rows):
    step, on = sure("sure(share=0.25)", [[3, 4], [0, 1], [2, 0], [0, 0]])
    step.prepare(on)
    with torch.no_grad():
        on.weights["net.weight"].add_(1)
    chosen = step.correct(on, [torch.ones(4, 2)])[0]
    step.prepare(on)
    assert torch.equal(step.correct(on, [torch.ones(4, 2)])[0], chosen)


def test_nullspace_damps_what_retain_inputs_see(monkeypatch):
    """Retain inputs along (.6, .8): a change (1, 0) keeps (1, 0) - .9 * .6 (.6, .8) = (.676, -.432)."""
    module = "audit.methods.steps.nullspace"
    x = torch.tensor([0.6, 0.8])
    monkeypatch.setattr(f"{module}.input_moments", lambda *_: {"h.mlp.out": torch.outer(x, x)})
    monkeypatch.setattr(f"{module}.batches", lambda *_: ())
    monkeypatch.setattr(f"{module}.input_axis", lambda network, name: 1)
    names = {"h.mlp.out.weight": (1, 2), "h.attn.out.weight": (1, 2), "h.mlp.out.bias": (1,)}
    on = Update(Run(), {n: torch.nn.Parameter(torch.zeros(s)) for n, s in names.items()}, None, None)
    on.context.model, on.context.retain_examples = SimpleNamespace(network=None), ("one",)
    given = [torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([1.0])]
    step = STEPS.build("nullspace(relaxation=0.1)")
    step.prepare(on)
    found = step.correct(on, given)
    assert found[0].tolist()[0] == pytest.approx([0.676, -0.432])
    assert found[1] is given[1]
    assert found[2] is given[2]
    assert step.correct(on, [torch.tensor([[0.8, -0.6]]), *given[1:]])[0].tolist()[0] == pytest.approx(
        [0.8, -0.6]
    )
    assert STEPS.build("nullspace(relaxation=1)").correct(on, given) is given


def test_nullspace_counts_only_large_eigenvalues_as_retain_directions():
    """Eigenvalues 1 and .5 of the axes: with threshold .6 only the first is one, with .4 both are."""
    moment = torch.diag(torch.tensor([1.0, 0.5]))
    assert STEPS.build("nullspace(threshold=0.6)")._large(moment).abs().tolist() == [[1], [0]]
    assert STEPS.build("nullspace(threshold=0.4)")._large(moment).shape == (2, 2)


@pytest.mark.parametrize(
    "text",
    [
        "nullspace(relaxation=2)",
        "blur(gamma=-1)",
        "gru(gamma=0)",
        "gru(rectified=retain)",
        "sam(rho=-0.1)",
        "randomized_smoothing(draws=0)",
        "gu(history=-1)",
        "sure(share=0)",
        "sure(share=1.1)",
    ],
)
def test_a_parameter_outside_its_range_is_refused_by_name(text):
    with pytest.raises(AuditError, match="E112"):
        STEPS.build(text)


@pytest.mark.parametrize(
    ("name", "module", "role"),
    [
        ("model.layers.0.mlp.down_proj.weight", "model.layers.0.mlp.down_proj", "weight"),
        ("transformer.h.3.attn.c_attn.bias", "transformer.h.3.attn.c_attn", "bias"),
        (
            "base_model.model.model.layers.0.mlp.up_proj.lora_A.default.weight",
            "model.layers.0.mlp.up_proj",
            "lora_A",
        ),
        (
            "base_model.model.gpt_neox.layers.1.mlp.dense.lora_B.default.weight",
            "gpt_neox.layers.1.mlp.dense",
            "lora_B",
        ),
        (
            "base_model.model.model.layers.0.mlp.up_proj.base_layer.weight",
            "model.layers.0.mlp.up_proj",
            "weight",
        ),
    ],
)
def test_a_weight_is_placed_by_its_name_with_and_without_an_adapter(name, module, role):
    assert place(name) == (module, role)
