"""Steps that look further than the gradients of the batch: circuits, inner loops, attacks; by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from audit.core.errors import AuditError
from audit.methods.base import STEPS
from audit.methods.steps.cure import parts
from audit.models.batches import forward_answer_logits
from audit.models.curvature import batches
from audit.models.layers import linears
from audit.models.training import Example
from audit.models.update import Update


class Run:
    """The part of a run's context that these steps use."""

    def __init__(self, **values):
        self.step, self.notes = 0, {}
        self.forget, self.retain = "forget batch", "retain batch"
        self.__dict__.update(values)

    def remember(self, name, build):
        if name not in self.notes:
            self.notes[name] = build()
        return self.notes[name]

    def generator(self, name):
        return torch.Generator().manual_seed(0)

    def end(self):
        pass


def test_cure_moves_each_module_by_the_side_it_serves():
    """Module a serves forget, b retain, c both in conflict as in the example of pcgrad, d neither."""
    weights = {f"{m}.weight": torch.nn.Parameter(torch.zeros(2)) for m in "abcd"}
    on = Update(Run(notes={"cure": ({"a", "c"}, {"b", "c"})}), weights, None, None)
    forget = [torch.tensor([1.0, 0.0])] * 4
    retain = [torch.tensor([-1.0, 1.0])] * 4
    step = STEPS.build("cure")
    ours, theirs = step.transform(on, forget, retain)
    assert [g.tolist() for g in ours] == [[1, 0], [0, 0], [0.5, 0.5], [0, 0]]
    assert [g.abs().tolist() for g in theirs] == [[0, 0], [1, 1], [0, 1], [0, 0]]
    assert [g.tolist() for g in step.correct(on, [torch.ones(2)] * 4)] == [[1, 1], [1, 1], [1, 1], [0, 0]]


def test_a_circuit_is_the_share_of_modules_with_the_largest_part():
    found = {"a": 0.1, "b": 3.0, "c": 2.0, "d": 0.2}
    assert STEPS.build("cure(share=0.5)")._largest(found) == {"b", "c"}
    assert STEPS.build("cure(share=0.6)")._largest(found) == {"b", "c", "d"}  # rounded up


def test_cure_finds_a_circuit_for_each_side_from_that_sides_own_parts(monkeypatch):
    """Half of four modules: a and c do most on the forget sequences, b and c on the retain sequences."""
    found = {"f": {"a": 3.0, "b": 0.5, "c": 2.0, "d": 1.0}, "r": {"a": 1.0, "b": 9.0, "c": 2.0, "d": 0.0}}
    monkeypatch.setattr("audit.methods.steps.cure.parts", lambda model, side, names: found[side])
    run = Run(model=None, forget_examples="f", retain_examples="r")
    on = Update(run, {f"{m}.weight": torch.nn.Parameter(torch.zeros(1)) for m in "abcd"}, None, None)
    step = STEPS.build("cure(share=0.5)")
    step.prepare(on)
    ours, theirs = step.transform(on, [torch.tensor([1.0])] * 4, [torch.tensor([2.0])] * 4)
    assert [float(g) for g in ours] == [1, 0, 1, 0]
    assert [float(g) for g in theirs] == [0, 2, 2, 0]


def test_a_part_is_the_slope_of_the_answer_logits_when_the_output_is_scaled(away):
    """<y, dz/dy> is the derivative of z by s where y is replaced by s y: central difference over 2 %."""
    model = away(frozenset()).model
    example = Example("one", "where now where", "w3 w15")
    names = [linear.name for linear in linears(model.network)]
    found = parts(model, [example], names)
    (batch,) = batches(model, [example], 1)

    def height(module, scale):
        handle = module.register_forward_hook(lambda m, args, output: scale * output)
        with torch.no_grad():
            logits = forward_answer_logits(model.network, batch).double()
        handle.remove()
        return float(logits.gather(1, batch.targets[:, None]).sum() - logits.mean(-1).sum())

    for linear in linears(model.network):
        slope = (height(linear.module, 1.01) - height(linear.module, 0.99)) / 0.02
        assert found[linear.name] == pytest.approx(abs(slope), rel=0.02, abs=2e-3)


def test_a_part_is_a_mean_over_sequences(away):
    model = away(frozenset()).model
    two = [Example("one", "where now where", "w3 w15"), Example("two", "now", "w7")]
    names = [linear.name for linear in linears(model.network)]
    alone, both = [parts(model, [one], names) for one in two], parts(model, two, names)
    for name in names:
        assert both[name] == pytest.approx((alone[0][name] + alone[1][name]) / 2, rel=1e-3)


def test_cure_without_projections_in_scope_says_so(away):
    context = away(frozenset())
    weights = {"model.norm.weight": context.model.network.model.norm.weight}
    with pytest.raises(AuditError, match="E267"):
        STEPS.build("cure").prepare(Update(context, weights, None, None))


A, B = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, 0.0], [0.0, 4.0]])
CENTRE = np.array([1.0, -1.0])


def quadratic(start, step=0):
    """Return an update whose terms are F = w'Aw / 2 and R = (w - c)'B(w - c) / 2."""
    weight = torch.nn.Parameter(torch.tensor(start, dtype=torch.float32))
    a, b, c = (torch.tensor(x, dtype=torch.float32) for x in (A, B, CENTRE))

    def term(side, batch):
        return 0.5 * weight @ a @ weight if side == "forget" else 0.5 * (weight - c) @ b @ (weight - c)

    return Update(Run(step=step), {"w": weight}, None, term)


def ofmu(text, start, step=0):
    on = quadratic(start, step)
    forget, retain = STEPS.build(text).transform(on, on.gradient("forget"), on.gradient("retain"))
    return on.weights["w"].detach().numpy(), forget[0].numpy(), retain[0].numpy()


def test_ofmu_climbs_and_then_repairs():
    """Phi = -F, so w' = w - .1 A w, grad Phi = -A w', H = -A: 2 rho H grad Phi = 2 rho A A w'."""
    start = np.array([1.0, 2.0])
    there = start - 0.1 * A @ start
    weight, forget, retain = ofmu("ofmu(inner_steps=1, inner_lr=0.1, similarity=0, penalty=0.5)", start)
    assert weight == pytest.approx(there, rel=1e-5)
    assert forget == pytest.approx(2 * 0.5 * A @ A @ there, rel=1e-3)
    assert retain == pytest.approx(B @ (there - CENTRE), rel=1e-5)


def test_the_penalty_of_ofmu_grows_with_the_step():
    """rho_10 = 2 rho_0."""
    text, start = "ofmu(inner_steps=0, similarity=0, penalty=0.5)", np.array([1.0, 2.0])
    assert ofmu(text, start, step=10)[1] == pytest.approx(2 * ofmu(text, start)[1], rel=1e-5)


def test_ofmu_aligns_the_gradients_by_the_slope_of_their_cosine():
    """Grad Phi = -A w + s grad cos(A w, B (w - c)), the last by central differences in float64."""
    start = np.array([0.7, 1.3])

    def cosine(w):
        f, r = A @ w, B @ (w - CENTRE)
        return f @ r / np.linalg.norm(f) / np.linalg.norm(r)

    slope = [(cosine(start + h) - cosine(start - h)) / 2e-6 for h in 1e-6 * np.eye(2)]
    expected = start + 0.1 * (-A @ start + 2.0 * np.array(slope))
    found = ofmu("ofmu(inner_steps=1, inner_lr=0.1, similarity=2, penalty=0)", start)[0]
    assert found == pytest.approx(expected, rel=2e-3)


def test_ofmu_without_climb_and_penalty_is_the_retain_step():
    start = np.array([1.0, 2.0])
    weight, forget, retain = ofmu("ofmu(inner_steps=0, penalty=0)", start)
    assert weight.tolist() == start.tolist()
    assert forget.tolist() == [0, 0]
    assert retain == pytest.approx(B @ (start - CENTRE))


def test_ofmu_refuses_gradients_in_bfloat16(monkeypatch):
    monkeypatch.setattr("audit.methods.steps.ofmu.autocast_dtype", lambda model: torch.bfloat16)
    with pytest.raises(AuditError, match="E268"):
        STEPS.build("ofmu").prepare(Update(Run(model=None), {}, None, None))


def coin(w):
    """Return an update over one logit w: the answer has p = sigmoid(w), the other word 1 - p."""
    weight = torch.nn.Parameter(torch.tensor(w))

    def logits(batch):
        return torch.stack([weight, torch.zeros(())])[None], None, None

    batch = SimpleNamespace(keys=("a",), __len__=lambda self: 1)
    examples = (Example("a", "q", "x"), Example("b", "q", "x"))
    run = Run(
        forget=_Batch(("a",)),
        forget_examples=examples,
        seen=[],
        answer_logits=logits,
        mean_nll=lambda batch: -torch.nn.functional.logsigmoid(weight),
    )
    run.batch = lambda chosen: run.seen.append([e.key for e in chosen]) or batch
    return Update(run, {"w": weight}, None, None)


class _Batch:
    def __init__(self, keys):
        self.keys = keys

    def __len__(self):
        return len(self.keys)


def minus_entropy_slope(w):
    """d(-H)/dw = w p (1 - p) for H = -p ln p - (1 - p) ln(1 - p)."""
    p = 1 / (1 + math.exp(-w))
    return w * p * (1 - p)


def test_tar_adds_the_slope_of_the_entropy_where_the_attack_leads():
    """AdamW's first step has the size of its rate: the attack goes from 1 to 1.5, and weight 4 counts there."""
    on = coin(1.0)
    step = STEPS.build("tar(weight=4, attack_steps=1, every=1, attack_lr=0.5)")
    forget, retain = step.transform(on, [torch.tensor(0.25)], [torch.tensor(7.0)])
    assert float(forget[0]) == pytest.approx(0.25 + 4 * minus_entropy_slope(1.5), rel=1e-4)
    assert float(retain[0]) == 7
    assert on.weights["w"].item() == 1.0
    assert on.weights["w"].grad is None
    assert on.context.seen == [["b"]]  # the attack trains on what the step does not look at


def test_tar_averages_over_its_looks():
    """A rate of next to nothing stays at w = 1: both looks see the same slope."""
    on = coin(1.0)
    step = STEPS.build("tar(weight=3, attack_steps=4, every=2, attack_lr=0.0000001)")
    forget, _ = step.transform(on, [torch.tensor(0.0)], [torch.tensor(0.0)])
    assert float(forget[0]) == pytest.approx(3 * minus_entropy_slope(1.0), rel=1e-4)


def test_tar_of_weight_zero_is_the_plain_gradient():
    on, given = coin(1.0), [torch.tensor(0.25)]
    assert STEPS.build("tar(weight=0)").transform(on, given, given) == (given, given)
    assert on.context.seen == []


@pytest.mark.parametrize(
    "text",
    [
        "cure(share=0)",
        "ofmu(inner_steps=-1)",
        "ofmu(inner_lr=0)",
        "tar(every=9)",
        "tar(weight=-1)",
        "tar(attack_lr=0)",
    ],
)
def test_a_parameter_outside_its_range_is_refused_by_name(text):
    with pytest.raises(AuditError, match="E112"):
        STEPS.build(text)
