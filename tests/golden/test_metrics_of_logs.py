"""Our per-probe metrics against the published implementations: their rules as oracles, their logs as numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from audit.core.text import yields
from audit.metrics.base import METRICS
from audit.models.scoring import Scored

ROOT_LOGS = "open_unlearning_eval/tofu_Llama-3.2-1B-Instruct_full/evals_forget01/TOFU_EVAL.json"


def scored(logp=(-1.0,), greedy=None, **fields) -> Scored:
    tokens = np.asarray(logp, dtype=np.float64)
    hits = np.ones(tokens.size, dtype=bool) if greedy is None else np.asarray(greedy, dtype=bool)
    return Scored(
        "u", "p", 0, tokens, hits, fields.pop("answer", "x"), fields.pop("generation", None), **fields
    )


def value(name, item):
    return METRICS.build(name).value(item)


def their_extraction_strength(greedy) -> float:
    """open-unlearning's loop: k runs over 0 .. T-1 and stays at T-1 where no suffix is extracted."""
    for k in range(len(greedy)):
        if all(greedy[k:]):
            break
    return 1 - k / len(greedy)


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_extraction_strength_is_theirs_but_for_the_floor_of_one_token(greedy):
    """Equal wherever something is extracted; where nothing is, theirs reads 1/T and ours 0."""
    ours = value("extraction_strength", scored([-1.0] * len(greedy), greedy))
    theirs = their_extraction_strength(greedy)
    assert max(ours, 1 / len(greedy)) == pytest.approx(theirs, abs=1e-15)
    assert ours == pytest.approx(theirs if greedy[-1] else 0.0, abs=1e-15)


@pytest.mark.parametrize("name", ["tofu_1b_full_forget10", "tofu_1b_retain90", "tofu_7b_retain90"])
def test_the_floor_is_in_the_published_logs(fixtures, name):
    """No logged value is 0, although models that never saw an author rarely extract a suffix."""
    assert fixtures(name).get("extraction_strength").min() > 0


def test_truth_ratio_and_normalised_probability_of_the_logs_are_ours(fixtures):
    """Answers of one token with the logged mean losses; 1e-10 stands in their denominator of the second."""
    log = fixtures("tofu_1b_full_forget10")
    right, wrong = log.get("ra_Q_A_Prob", "avg_loss"), log.get("ra_Q_A_PERT_Prob", "avg_loss")
    items = [
        scored([-r], wrong_logp=tuple(np.array([-one]) for one in w))
        for r, w in zip(right, wrong, strict=True)
    ]
    ratios = [value("truth_ratio_geometric", item) for item in items]
    np.testing.assert_allclose(ratios, log.get("ra_Truth_Ratio"), rtol=1e-12)
    shares = np.array([value("normalised_probability", item) for item in items])
    total = np.exp(-right) + np.exp(-wrong).sum(axis=1)
    np.testing.assert_allclose(
        shares * total / (total + 1e-10), log.get("ra_Q_A_Prob_normalised", "prob"), rtol=1e-6
    )


def test_the_paper_s_truth_ratio_is_above_the_code_s_on_every_question(fixtures):
    """The arithmetic mean is never below the geometric one; on this log by 6 % on average."""
    log = fixtures("tofu_1b_full_forget10")
    right, wrong = log.get("forget_Q_A_PARA_Prob", "avg_loss"), log.get("forget_Q_A_PERT_Prob", "avg_loss")
    items = [
        scored([-1.0], paraphrase_logp=np.array([-r]), wrong_logp=tuple(np.array([-one]) for one in w))
        for r, w in zip(right, wrong, strict=True)
    ]
    paper, code = (
        [value(f"truth_ratio_{mean}", item) for item in items] for mean in ("arithmetic", "geometric")
    )
    np.testing.assert_allclose(code, log.get("forget_truth_ratio"), rtol=1e-12)
    assert (np.array(paper) >= np.array(code)).all()
    assert np.mean(paper) / np.mean(code) == pytest.approx(1.06, abs=0.01)


def check_generations(entries):
    for entry in entries:
        item = scored(answer=entry["ground_truth"], generation=entry["generation"])
        assert value("rouge_l_recall", item) == entry["rougeL_recall"]
        assert value("rouge_l_f1", item) == entry["rougeL_f1"]
        assert value("exact_match", item) == yields(entry["ground_truth"], entry["generation"])


def generations(path):
    """Return the logged generations, by list."""
    log = json.loads(path.read_text())
    return {m: list(log[m]["value_by_index"].values()) for m in log if m.lower().endswith("_rouge")}


def test_rouge_and_exact_match_of_a_real_log_are_those_it_states(real_data):
    for entries in generations(real_data / ROOT_LOGS).values():
        check_generations(entries)


@pytest.mark.slow
def test_rouge_of_every_real_log_is_the_one_it_states(tofu_path):
    lists = generations(tofu_path)
    assert len(lists) == 4
    for entries in lists.values():
        check_generations(entries)


def test_rouge_is_the_package_s_on_real_generations(real_data):
    """rouge-score, stemmer on; every tenth answer of forget and retain list."""
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
    lists = generations(real_data / ROOT_LOGS)
    for entry in [e for m in ("forget_Q_A_ROUGE", "retain_Q_A_ROUGE") for e in lists[m][::10]]:
        answer, said = entry["ground_truth"], entry["generation"]
        theirs = scorer.score(target=answer, prediction=said)["rougeL"]
        item = scored(answer=answer, generation=said)
        assert value("rouge_l_recall", item) == theirs.recall
        assert value("rouge_l_f1", item) == theirs.fmeasure


def test_extraction_strength_of_every_real_log_is_one_that_ours_takes_but_for_the_floor(tofu_path):
    """1 - k/T with k of 0 to T - 1: a multiple of 1/T above 0, of some answer length T up to 200 tokens.

    The one value of ours that never stands there is 0; theirs is 1/T then, and nothing lies below it.
    """
    log = json.loads(tofu_path.read_text())
    found = np.array([entry["score"] for entry in log["extraction_strength"]["value_by_index"].values()])
    assert ((found > 0) & (found <= 1)).all()
    lengths = np.arange(1, 201)
    steps = found[:, None] * lengths  # (n, T)
    assert (np.abs(steps - np.round(steps)).min(axis=1) < 1e-9).all()
    assert found.mean() == pytest.approx(log["extraction_strength"]["agg_value"], rel=1e-12)


def test_every_log_there_is_takes_part(real_data, tofu_paths):
    """Nine of models trained on everything, nine of retrained ones."""
    there = set((real_data / "open_unlearning_eval").rglob("TOFU_EVAL.json"))
    assert there == set(tofu_paths)
    assert len(there) == 18


def their_min_k_plus_plus(rows, tokens, k):
    """open-unlearning's score: -mean of the lowest int(k T) of (log p - mu) / sqrt(sigma2), sigma2 >= 1e-6."""
    share = np.exp(rows)
    mu = (share * rows).sum(-1)
    variance = np.maximum((share * rows**2).sum(-1) - mu**2, 1e-6)
    z = (rows[np.arange(len(tokens)), tokens] - mu) / np.sqrt(variance)
    return -np.mean(np.sort(z)[: max(1, int(len(z) * k))])


def test_min_k_plus_plus_is_theirs_with_the_sign_turned():
    rng = np.random.default_rng(0)
    for length in (1, 3, 5, 10, 17):
        logits = rng.normal(0, 3, (length, 50))
        rows = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        tokens = rng.integers(0, 50, length)
        share = np.exp(rows)
        mu = (share * rows).sum(-1)
        sigma = np.sqrt((share * (rows - mu[:, None]) ** 2).sum(-1))
        z = (rows[np.arange(length), tokens] - mu) / sigma
        item = scored(rows[np.arange(length), tokens], standardised=z)
        for name, k in (("min_k_plus_plus_40", 0.4), ("min_k_plus_plus_20", 0.2)):
            assert value(name, item) == pytest.approx(-their_min_k_plus_plus(rows, tokens, k), rel=1e-9)
