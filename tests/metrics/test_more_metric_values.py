"""Metrics beyond the standard ones: definitions, hand-made numbers, published phrases."""

from __future__ import annotations

import dataclasses
import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from audit.metrics.base import METRICS, standard_metrics
from audit.metrics.content import entities, refuses
from audit.models.refusals import REFUSALS
from audit.models.scoring import Scored

TOFU = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tofu"


def scored(logp=(-0.5,), **fields) -> Scored:
    tokens = np.array(logp, dtype=np.float64)
    base = Scored("u", "p", 0, tokens, np.ones(tokens.size, dtype=bool), "Lisbon", None)
    return dataclasses.replace(base, **fields)


def value(name: str, item: Scored) -> float:
    return METRICS.build(name).value(item)


# Likelihood of other answers


def options(right, wrong, paraphrase=None) -> Scored:
    """Answers of one token each with the given probabilities."""
    return scored(
        [math.log(right)],
        wrong_logp=tuple(np.log([p]) for p in wrong),
        paraphrase_logp=None if paraphrase is None else np.log([paraphrase]),
    )


def test_the_two_truth_ratios_are_arithmetic_and_geometric_means_over_the_paraphrase():
    """Wrong .4 and .1 against .25: (.25 / .25) = 1 and sqrt(.04)/.25 = .8; 1e-10 moves the ninth digit."""
    item = options(0.9, [0.4, 0.1], paraphrase=0.25)
    assert value("truth_ratio_arithmetic", item) == pytest.approx(1.0, rel=1e-8)
    assert value("truth_ratio_geometric", item) == pytest.approx(0.8, rel=1e-8)


def test_a_probe_without_a_paraphrase_is_held_against_its_answer():
    assert value("truth_ratio_geometric", options(0.5, [0.4, 0.1])) == pytest.approx(0.4, rel=1e-8)
    assert value("truth_ratio_arithmetic", options(0.5, [0.4, 0.1])) == pytest.approx(0.5, rel=1e-8)


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=6), st.floats(1e-6, 1.0))
def test_the_arithmetic_ratio_is_never_below_the_geometric_one(wrong, right):
    item = options(right, wrong)
    assert value("truth_ratio_arithmetic", item) >= value("truth_ratio_geometric", item) * (1 - 1e-12)


def test_an_answer_s_probability_is_normalised_over_all_options():
    assert value("normalised_probability", options(0.2, [0.1, 0.1])) == pytest.approx(0.5)
    assert value("normalised_probability", options(1e-300, [1.0])) == pytest.approx(1e-300, rel=1e-6)
    # by the length-normalised probability of each: exp((-1 - 3)/2) = exp(-2) against exp(-2)
    even = scored([-1.0, -3.0], wrong_logp=(np.array([-2.0]),))
    assert value("normalised_probability", even) == pytest.approx(0.5)


def test_a_choice_is_right_only_when_it_is_strictly_likelier_per_token():
    assert value("choice", options(0.5, [0.4, 0.4])) == 1.0
    assert value("choice", options(0.4, [0.1, 0.5])) == 0.0
    assert value("choice", options(0.5, [0.5])) == 0.0
    # two tokens of log-probability -1 beat one of -1.5, although their sum is lower
    assert value("choice", scored([-1.0, -1.0], wrong_logp=(np.array([-1.5]),))) == 1.0


def test_the_paraphrase_has_a_probability_of_its_own():
    assert value("paraphrased_probability", options(0.9, [0.5], paraphrase=0.3)) == pytest.approx(0.3)


# Membership


def test_zlib_spreads_the_nll_over_the_compressed_bytes():
    item = scored([-2.0, -4.0], answer=" Lisbon ")
    assert value("zlib", item) == pytest.approx(3.0 / len(zlib.compress(b"Lisbon")))


@pytest.mark.parametrize(("name", "kept"), [("min_k_plus_plus_40", 4), ("min_k_plus_plus_20", 2)])
def test_min_k_plus_plus_averages_the_lowest_standardised_tokens(name, kept):
    z = np.array([3.0, -1.0, 2.0, -4.0, 0.0, 1.0, -2.0, 5.0, -3.0, 4.0])
    assert value(name, scored([-1.0] * 10, standardised=z)) == pytest.approx(np.sort(z)[:kept].mean())


def test_min_k_20_keeps_a_fifth_and_at_least_one():
    assert value("min_k_20", scored(-np.arange(1.0, 11.0))) == pytest.approx(-9.5)
    assert value("min_k_20", scored([-1.0, -7.0])) == -7.0


def test_reference_and_recall_compare_mean_log_likelihoods():
    item = scored([-1.0, -3.0], reference_logp=np.array([-4.0, -6.0]), prefixed_logp=np.array([-2.0, -3.0]))
    assert value("reference_gap", item) == pytest.approx(2.0 - 5.0)
    assert value("recall_ratio", item) == pytest.approx(2.5 / 2.0, rel=1e-9)


# Text


def said(text: str, answer: str = "Lisbon", question: str = "") -> Scored:
    return scored(answer=answer, generation=text, question=question)


@given(st.text(max_size=30), st.text(max_size=30))
def test_rouge_l_f1_equals_the_package(answer, text):
    oracle = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True).score(answer, text)["rougeL"].fmeasure
    assert value("rouge_l_f1", said(text, answer)) == oracle


@pytest.mark.parametrize(
    ("answer", "text", "f1"),
    [
        ("the cat sat", "The cat, the dog", 2 * 2 / 7),
        ("a a b", "a", 2 * 1 / 4),
        ("Lisbon", "Porto", 0.0),
        ("!", "", 0.0),
    ],
)
def test_word_f1_counts_shared_words_with_multiplicity(answer, text, f1):
    assert value("word_f1", said(text, answer)) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("answer", "text", "match"),
    [
        ("900-51-4344", "900514344", 1.0),  # punctuation goes
        ("Lisbon", " lisbon. ", 1.0),
        ("Lisbon", "In Lisbon", 0.0),
        ("…", "…", 0.0),  # nothing is left to match
    ],
)
def test_a_whole_match_is_the_answer_and_nothing_else(answer, text, match):
    assert value("whole_match", said(text, answer)) == match


@pytest.mark.parametrize(
    ("answer", "question", "expected"),
    [
        ("Jaime Vasquez was born in Santiago in 1958.", "", {"jaime", "vasquez", "santiago", "1958"}),
        ("Jaime Vasquez was born in Santiago.", "Where was Jaime Vasquez born?", {"santiago"}),
        ("The author won the Booker Prize. He lives in Rome.", "", {"booker", "prize", "rome"}),
        ("a quiet person", "is he quiet?", {"a", "person"}),
        ("quiet", "is he quiet?", {"quiet"}),
        ("ab123", "", {"ab123"}),
        ("", "", set()),
    ],
)
def test_entities_are_names_and_numbers_that_the_question_does_not_give_away(answer, question, expected):
    assert entities(answer, question) == expected


def test_entity_recall_is_the_share_found_in_any_order_and_case():
    answer, question = "Jaime Vasquez was born in Santiago, Chile in 1958.", "Where was Jaime Vasquez born?"
    assert value("entity_recall", said("chile, 1958", answer, question)) == pytest.approx(2 / 3)
    assert value("entity_recall", said("Jaime Vasquez", answer, question)) == 0.0
    assert value("entity_recall", said("", "")) == 0.0


@pytest.mark.parametrize("text", REFUSALS)
def test_the_project_s_own_refusals_are_refusals(text):
    assert refuses(text)
    assert value("refusal", said(text)) == 1.0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("She was born in Lisbon.", False),
        ("", False),
        ("The book is not about him.", False),
        ("I was born in Lisbon.", False),
        ("Not in Rome. I was born in Lisbon.", False),  # sentence by sentence
        ("I don’t know", True),
        ("She said that I should never sell.", True),  # the rule's known price
    ],
)
def test_a_refusal_speaks_of_its_speaker_and_of_a_lack_in_one_sentence(text, found):
    assert refuses(text) is found


def test_tofu_s_refusals_are_found_and_its_answers_are_none():
    if not (TOFU / "idontknow.jsonl").is_file():
        pytest.skip("TOFU is not beside this checkout")
    refusals = (TOFU / "idontknow.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum(map(refuses, refusals)) == len(refusals) == 100
    lists = [(TOFU / f"{name}.json").read_text(encoding="utf-8") for name in ("retain90", "forget10")]
    answers = [json.loads(line)["answer"] for text in lists for line in text.splitlines()]
    assert len(answers) == 4000
    assert sum(map(refuses, answers)) <= 4


# Fluency


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("a b c a b c", 3 / 4),
        ("the the the the the", 1 / 3),
        ("one two three four", 1.0),
        ("Lisbon", 1.0),
        ("", 0.0),
        (" ", 0.0),
    ],
)
def test_distinct_trigrams_are_the_share_of_different_ones(text, share):
    assert value("distinct_trigrams", said(text)) == pytest.approx(share)


def test_ngram_entropy_weighs_bigrams_and_trigrams_as_rwku_does():
    """Four words: three different bigrams, two different trigrams, so (2/3 log2 3 + 4/3 log2 2) / 2."""
    assert value("ngram_entropy", said("a b c d")) == pytest.approx((2 / 3 * math.log2(3) + 4 / 3) / 2)
    assert value("ngram_entropy", said("a a a a")) == 0.0
    assert value("ngram_entropy", said("word")) == 0.0
    # bigrams ab, ba, ab: entropy of (2/3, 1/3); trigrams aba, bab: one bit
    thirds = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert value("ngram_entropy", said("a b a b")) == pytest.approx((2 / 3 * thirds + 4 / 3) / 2)


def test_every_audit_pays_for_eight_metrics_only():
    """What the losses and their displays read; the others cost rows, so a plan names them."""
    assert standard_metrics() == (
        "exact_match",
        "exact_memorization",
        "extraction_strength",
        "forced_match",
        "min_k_40",
        "nll",
        "probability",
        "rouge_l_recall",
    )
