"""Each metric against its definition, an independent oracle or a number derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from audit.metrics.base import METRICS
from audit.models.scoring import Scored


def scored(logp=(-0.5,), greedy=None, answer="Lisbon", generation=None) -> Scored:
    greedy = [True] * len(logp) if greedy is None else greedy
    return Scored(
        "u", "p", 0, np.array(logp, dtype=np.float64), np.array(greedy, dtype=bool), answer, generation
    )


def value(name: str, item: Scored) -> float:
    return METRICS.build(name).value(item)


def test_probability_is_the_geometric_mean_of_the_token_probabilities():
    assert value("probability", scored(np.log([0.5, 0.125]))) == pytest.approx(0.25, rel=1e-12)  # sqrt(1/16)


def test_nll_is_the_mean_surprise_in_nats():
    assert value("nll", scored([-1.0, -2.0, -6.0])) == pytest.approx(3.0, rel=1e-15)


def test_a_certain_answer_has_nll_zero_and_probability_one_even_if_rounding_went_above():
    certain = scored([1e-9, 0.0])
    assert value("nll", certain) == 0.0
    assert math.copysign(1.0, value("nll", certain)) == 1.0
    assert value("probability", certain) == 1.0
    assert value("min_k_40", certain) == 0.0


def test_min_k_takes_the_lowest_two_of_five_tokens():
    assert value("min_k_40", scored([-1.0, -5.0, -2.0, -3.0, -0.1])) == pytest.approx(-4.0)  # (-5 - 3) / 2


@pytest.mark.parametrize(
    ("tokens", "kept"), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (7, 2), (8, 3), (10, 4), (25, 10), (35, 14)]
)
def test_min_k_rounds_down_but_keeps_at_least_one_token(tokens, kept):
    logp = -np.arange(1.0, tokens + 1)
    assert value("min_k_40", scored(logp)) == pytest.approx(-np.mean(np.arange(tokens, tokens - kept, -1)))


def _extraction_by_brute_force(greedy) -> float:
    """1 - k/T for the smallest k in 0..T-1 whose suffix is greedy throughout; 0 if there is none."""
    total = len(greedy)
    return max((1 - k / total for k in range(total) if all(greedy[k:])), default=0.0)


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_extraction_strength_equals_its_definition(greedy):
    item = scored([-1.0] * len(greedy), greedy)
    assert value("extraction_strength", item) == pytest.approx(_extraction_by_brute_force(greedy), abs=1e-15)


def test_extraction_strength_is_zero_not_one_over_t_when_the_last_token_is_missed():
    assert value("extraction_strength", scored([-1.0] * 4, [True, True, True, False])) == 0.0


def test_exact_memorization_is_the_share_of_greedy_tokens():
    assert value("exact_memorization", scored([-1.0] * 4, [True, False, True, True])) == 0.75


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_forced_match_holds_exactly_when_everything_is_extracted(greedy):
    item = scored([-1.0] * len(greedy), greedy)
    assert value("forced_match", item) == float(value("extraction_strength", item) == 1.0)


@pytest.mark.parametrize(
    ("answer", "generation", "found"),
    [
        ("Lisbon", "She was born in LISBON.", 1.0),
        ("Lisbon", "Lisbonne", 0.0),
        ("0912 44", "the number 0912 44!", 1.0),
        ("0912 44", "the number 0912 443", 0.0),
        ("Lisbon", "", 0.0),
    ],
)
def test_exact_match_asks_for_the_whole_answer_at_word_boundaries(answer, generation, found):
    assert value("exact_match", scored(answer=answer, generation=generation)) == found


@pytest.mark.parametrize(
    ("answer", "generation", "recall"),
    [
        ("the cat sat on the mat", "the cat sat", 3 / 6),
        (
            "the cat sat on the mat",
            "mat the on sat cat the",
            3 / 6,
        ),  # "the on the", "the sat the" or "the cat the"
        ("he was running home", "run", 1 / 4),  # stemmed
        ("a b c d", "a x c y d", 3 / 4),
    ],
)
def test_rouge_l_recall_is_the_share_of_the_answer_in_the_longest_common_subsequence(
    answer, generation, recall
):
    assert value("rouge_l_recall", scored(answer=answer, generation=generation)) == pytest.approx(recall)


@given(st.text(max_size=30), st.text(max_size=30))
def test_rouge_l_recall_equals_the_package(answer, generation):
    oracle = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True).score(answer, generation)["rougeL"].recall
    assert value("rouge_l_recall", scored(answer=answer, generation=generation)) == oracle


@pytest.mark.parametrize("name", ["exact_match", "rouge_l_recall"])
def test_a_metric_of_text_refuses_a_probe_without_text(name):
    with pytest.raises(ValueError, match="without generation"):
        value(name, scored())
