"""On the toy p0 is uniform and the teacher raises the answer's logit by ln 2 at both tokens."""

from __future__ import annotations

import math

import pytest
import torch

from audit.methods.base import METHODS
from audit.methods.objectives import reinforced_teacher

LN2 = math.log(2)


@pytest.fixture
def raised(monkeypatch):
    rise = torch.zeros(2, 5)
    rise[[0, 1], [0, 1]] = LN2
    monkeypatch.setattr(reinforced_teacher, "risen", lambda *_: rise)


@pytest.mark.parametrize("name", ["whp", "e2urec"])
def test_the_term_is_the_cross_entropy_with_the_start_minus_what_rises(forget, raised, name):
    """Strength 1: target (1/9, 2/9, ...), 1/9 at the answer. In units of ln 2: 25/9 and 22/9."""
    assert forget(f"{name}(strength=1)") == pytest.approx((25 + 22) / 18 * LN2)
    assert forget(f"{name}(strength=0)") == pytest.approx(2.5 * LN2)  # CE(uniform, p)


def test_e2urec_holds_the_answers_and_the_starting_distributions(retain):
    """NLL 1.5 ln 2 per token and CE(uniform, p) = 2.5 ln 2."""
    assert retain("e2urec") == pytest.approx(4 * LN2)


def test_whp_is_forget_only(retain):
    with pytest.raises(ValueError, match="e2urec"):
        retain("whp")


def test_what_rises_is_what_further_training_on_the_forget_set_raises(away, starting_network):
    context = away(METHODS["whp"]().needs)
    batch = context.batch(context.forget_examples)
    rise = reinforced_teacher.risen(context, batch, 1e-2, 30)
    logits = starting_network(batch.ids).logits[batch.rows, batch.positions]
    answers = torch.arange(len(batch.targets)), batch.targets
    assert (rise >= 0).all()
    raised = (
        (logits + rise).log_softmax(-1)[answers].mean()
    )  # what falls is not seen, so this is a lower bound
    assert raised > logits.log_softmax(-1)[answers].mean() + 0.5
    assert torch.equal(rise, reinforced_teacher.risen(context, batch, 1e-2, 30))


def test_the_teacher_leaves_the_trained_and_the_starting_model_alone(away):
    context = away(METHODS["whp"]().needs)
    networks = [context.model.network, context.start.network]
    before = [{k: v.clone() for k, v in n.state_dict().items()} for n in networks]
    reinforced_teacher.risen(context, context.batch(context.forget_examples[:2]), 1e-2, 3)
    for network, weights in zip(networks, before, strict=True):
        assert all(torch.equal(v, weights[k]) for k, v in network.state_dict().items())
    assert all(p.requires_grad for p in context.model.network.parameters())


@pytest.mark.parametrize("name", ["whp", "e2urec"])
@pytest.mark.parametrize("wrong", [{"strength": -1.0}, {"teacher_lr": 0.0}, {"teacher_steps": 0}])
def test_parameters_outside_their_range_are_refused(name, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        METHODS[name](**wrong)
