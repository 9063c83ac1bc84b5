"""On the toy the retain loss is 1.5 ln 2 per token; it started at ln 2, so a budget of 1/2 allows 2 ln 2."""

from __future__ import annotations

import math

import pytest

from audit.methods.base import METHODS

LN2 = math.log(2)


@pytest.fixture
def started(toy):
    toy.reference_retain_nll = lambda: LN2
    return toy


def test_the_forget_term_is_the_squared_gap_between_largest_and_mean_logit(forget):
    """In units of ln 2 - token 1: -1 + 13/5 = 8/5. Token 2: -2 + 12/5 = 2/5."""
    assert forget("pdu") == pytest.approx((64 / 25 + 4 / 25) / 2 * LN2**2)


def test_the_retain_term_is_the_multiplier_times_the_excess_over_the_ceiling(started, retain):
    """4 (1.5 ln 2 - 2 ln 2) = -2 ln 2."""
    assert retain("pdu(utility_budget=0.5, multiplier=4)", started) == pytest.approx(-2 * LN2)


def test_the_multiplier_moves_by_rate_times_excess_when_the_step_is_over(started, batch):
    """Excess -0.5 ln 2 at rate 2 / ln 2: 4, 4 within the step, then 3, then 2."""
    method = METHODS["pdu"](utility_budget=0.5, multiplier=4.0, rate=2 / LN2)
    seen = []
    for started.step in (0, 0, 1, 2):
        seen.append(method.retain_term(started, batch).item() / (-0.5 * LN2))
    assert seen == pytest.approx([4, 4, 3, 2])


def test_the_multiplier_rises_above_the_ceiling_and_stays_at_zero_below(started, batch):
    """Ceiling ln 2: excess 0.5 ln 2, so 50 becomes 50 + 0.5 ln 2. Ceiling 2 ln 2 at a large rate: 0."""
    tight = METHODS["pdu"](utility_budget=0.0)
    first = tight.retain_term(started, batch).item()
    started.step = 1
    assert tight.retain_term(started, batch).item() / first == pytest.approx((50 + 0.5 * LN2) / 50)
    started.notes.clear()
    wide = METHODS["pdu"](utility_budget=0.5, rate=1e6)
    for started.step in (0, 1, 2):
        last = wide.retain_term(started, batch).item()
    assert last == 0


def test_the_ceiling_lets_the_likelihood_per_token_fall_by_the_utility_budget():
    """E^-ceiling = 0.9 e^-start."""
    assert math.exp(-METHODS["pdu"](utility_budget=0.1).ceiling(0.7)) == pytest.approx(0.9 * math.exp(-0.7))


def test_the_start_is_the_mean_over_all_retain_tokens(away):
    context = away(METHODS["pdu"]().needs)
    alone = [
        (context.reference_nll(context.batch([e])), len(context.encoded(e).ids))
        for e in context.retain_examples
    ]
    tokens = [
        n - context.encoded(e).answer_start for (_, n), e in zip(alone, context.retain_examples, strict=True)
    ]
    assert context.reference_retain_nll() == pytest.approx(sum(float(v) for v, _ in alone) / sum(tokens))


@pytest.mark.parametrize(
    "wrong", [{"utility_budget": 1.0}, {"utility_budget": -0.1}, {"multiplier": -1.0}, {"rate": -1.0}]
)
def test_parameters_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        METHODS["pdu"](**wrong)
