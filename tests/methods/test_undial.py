"""On the toy p0 is uniform: with strength ln 2 the target is (1/9, 2/9, 2/9, 2/9, 2/9), 1/9 at the answer."""

from __future__ import annotations

import math

import pytest
import torch

from audit.methods.base import METHODS
from audit.methods.compose import parse_recipe


def test_the_term_is_the_cross_entropy_with_the_lowered_starting_distribution(forget):
    """In units of ln 2 - token 1: 1/9 1 + 8/9 3 = 25/9. Token 2: 1/9 2 + 2/9 (2 + 3 + 3 + 2) = 22/9."""
    assert forget(f"undial(strength={math.log(2)})") == pytest.approx((25 + 22) / 18 * math.log(2))


def test_strength_zero_distils_the_starting_model(forget):
    """CE(uniform, p), in units of ln 2 - token 1: 13/5, token 2: 12/5."""
    assert forget("undial(strength=0)") == pytest.approx(2.5 * math.log(2))


def test_training_settles_at_the_target(toy, batch):
    target = torch.full((2, 5), 2 / 9)
    target[[0, 1], [0, 1]] = 1 / 9
    toy.logits["answer"] = target.log().requires_grad_(True)
    METHODS.build(f"undial(strength={math.log(2)})").forget_term(toy, batch).backward()
    assert toy.logits["answer"].grad.abs().max() < 1e-6


def test_it_holds_nothing_by_default_as_published():
    assert parse_recipe("undial").budget.retain_weight == 0
    assert parse_recipe("undial(retain_weight=1)").budget.retain_weight == 1


@pytest.mark.parametrize("wrong", [{"strength": -1.0}, {"compat": "theirs"}])
def test_parameters_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        METHODS["undial"](**wrong)
