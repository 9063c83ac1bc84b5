from __future__ import annotations

import numpy as np
import pytest
import torch
from random_networks import random_network

from audit.data.records import Probe
from audit.models.layers import inner
from audit.models.load import LanguageModel, PromptTemplate
from audit.models.scoring import Decoding, buckets, extraction_strength, generate, score


def slow_oracle(model, probe):
    """Token by token through the network's own forward, one prefix at a time, in float64."""
    item = model.encode(probe.question, probe.answer)
    logp, greedy = [], []
    for position in range(item.answer_start, len(item.ids) - item.eos):
        with torch.no_grad():
            logits = model.network(torch.tensor([item.ids[:position]])).logits[0, -1].double()
        logp.append(float(logits.log_softmax(-1)[item.ids[position]]))
        greedy.append(int(logits.argmax()) == item.ids[position])
    return logp, greedy


def test_scores_equal_a_token_by_token_oracle(model, probes):
    for probe, scored in zip(probes[:6], score(model, probes[:6]), strict=True):
        logp, greedy = slow_oracle(model, probe)
        np.testing.assert_allclose(scored.logp, logp, atol=1e-5)
        assert scored.greedy.tolist() == greedy
        assert scored.logp.dtype == np.float64
        assert (scored.subject, scored.probe, scored.draw) == (probe.subject, probe.probe, 0)
        assert scored.answer == probe.answer
        assert scored.generation is None


def test_batch_size_changes_values_by_rounding_only_and_order_is_kept(model, probes):
    together = score(model, probes[:40])
    for batch_tokens in (1, 64, 10**6):
        for a, b in zip(together, score(model, probes[:40], batch_tokens=batch_tokens), strict=True):
            assert (a.subject, a.probe) == (b.subject, b.probe)
            np.testing.assert_allclose(a.logp, b.logp, atol=1e-5)


def test_the_same_call_gives_the_same_bits(llama, probes):
    first, second = score(llama, probes), score(llama, probes)
    assert all(np.array_equal(a.logp, b.logp) for a, b in zip(first, second, strict=True))


def test_lm_head_runs_at_answer_positions_only(llama, probes):
    rows = []
    llama.network.get_output_embeddings().register_forward_hook(
        lambda _m, inputs, _o: rows.append(inputs[0].shape[0])
    )
    scored = score(llama, probes[:20])
    assert sum(rows) == sum(len(item.logp) for item in scored)


def test_no_probes_give_no_scores(llama):
    assert score(llama, []) == []
    assert score(llama, [], generate=True) == []


def test_buckets_hold_everything_once_within_their_size():
    lengths = [5, 9, 5, 3, 40, 9, 1]
    found = list(buckets(lengths, 18))
    assert sorted(i for bucket in found for i in bucket) == list(range(7))
    assert all(len(b) == 1 or len(b) * max(lengths[i] for i in b) <= 18 for b in found)


@pytest.mark.parametrize(
    ("greedy", "expected"),
    [
        ([1, 1, 1, 1], 1.0),
        ([0, 1, 1, 1], 0.75),
        ([1, 0, 1, 1], 0.5),
        ([1, 1, 1, 0], 0.0),  # open-unlearning gives 1/4 here: nothing is extracted
        ([0, 0], 0.0),
        ([], 0.0),
    ],
)
def test_extraction_strength_is_the_share_that_follows_by_itself(greedy, expected):
    assert extraction_strength(np.array(greedy, dtype=bool)) == expected


def test_generation_equals_a_loop_without_cache_or_padding(model):
    questions = ["Who?", "In which city was Wendy born?", "What is the account number of Wendy Lowe?"]
    found = generate(model, questions, Decoding(max_new_tokens=6))
    for question, (answer,) in zip(questions, found, strict=True):
        ids = list(model.encode_prompt(question))
        fresh: list[int] = []
        for _ in range(6):
            with torch.no_grad():
                token = int(model.network(torch.tensor([ids + fresh])).logits[0, -1].argmax())
            if token == model.tokenizer.eos_token_id or model.tokenizer.decode([token]) == "\n":
                break
            fresh.append(token)
        expected = model.tokenizer.decode(fresh, skip_special_tokens=True).strip().split("\n")[0].strip()
        assert answer == expected


def test_generation_does_not_depend_on_the_company_in_the_batch(llama, probes):
    questions = [probe.question for probe in probes[:30]]
    together = generate(llama, questions, Decoding(max_new_tokens=5))
    alone = [generate(llama, [question], Decoding(max_new_tokens=5))[0] for question in questions]
    assert together == alone


def test_samples_repeat_with_their_seed_and_differ_between_seeds(llama):
    def draw(seed):
        return generate(llama, ["Who?", "Where?"], Decoding(8, temperature=1.0, samples=3, seed=seed))

    assert [len(answers) for answers in draw(0)] == [3, 3]
    assert draw(0) == draw(0) != draw(1)


def test_a_sampled_answer_does_not_depend_on_the_company_in_the_batch(llama, probes):
    """So a person's loss under sampling is a fixed number, whoever else is opened."""
    questions = [probe.question for probe in probes[:12]]
    decoding = Decoding(5, temperature=1.0, samples=3, seed=4)
    together = generate(llama, questions, decoding)
    assert together == [generate(llama, [question], decoding)[0] for question in questions]
    more = generate(llama, questions, Decoding(5, temperature=1.0, samples=4, seed=4))
    assert [answers[:3] for answers in more] == together


@pytest.mark.parametrize("top_p", [1.0, 0.3])
def test_sampled_tokens_follow_the_softmax_within_the_nucleus(top_p):
    """Exact binomial test of every token's frequency at 1 in 10,000 each; none outside the nucleus."""
    from scipy.stats import binomtest

    from audit.models.generation import _choose

    logits = torch.tensor([2.0, 0.0, 1.0, -1.0, 1.5])
    decoding = Decoding(1, temperature=0.7, top_p=top_p)
    probabilities = torch.softmax(logits / 0.7, -1).numpy()
    order, kept, total = np.argsort(-probabilities), [], 0.0
    for token in order:
        if total < top_p:
            kept.append(int(token))
            total += probabilities[token]
    draws = 20_000
    chances = torch.tensor(np.random.default_rng(0).random(draws))
    tokens = _choose(logits.expand(draws, -1), decoding, chances).numpy()
    for token in range(5):
        count, share = int((tokens == token).sum()), probabilities[token] / total if token in kept else 0.0
        assert count == 0 if share == 0 else binomtest(count, draws, share).pvalue > 1e-4


def test_scores_with_samples_come_as_one_record_per_draw(llama, probes):
    found = score(llama, probes[:2], generate=True, decoding=Decoding(4, temperature=1.0, samples=3))
    assert [item.draw for item in found] == [0, 1, 2, 0, 1, 2]
    assert all(np.array_equal(item.logp, found[0].logp) for item in found[:3])
    assert all(item.generation is not None for item in found)


@pytest.mark.parametrize(
    "bad", [{"max_new_tokens": 0}, {"samples": 0}, {"temperature": -1.0}, {"top_p": 0.0}]
)
def test_impossible_decodings_are_refused(bad):
    with pytest.raises(ValueError, match=r"decoding|top_p"):
        Decoding(**bad)


def test_generation_stops_at_the_end_of_the_context(tokenizer):
    model = LanguageModel(random_network("gpt2", len(tokenizer)), tokenizer, PromptTemplate("plain"))
    inner(model.network).generation_config.eos_token_id = None
    assert generate(model, ["x" * 120], Decoding(max_new_tokens=64))[0] is not None


def test_an_answer_whose_first_token_merges_with_the_prompt_is_scored_after_the_prompt(llama):
    """The border may fall inside a token; the model is still given the prompt as asked."""
    fused = LanguageModel(llama.network, llama.tokenizer, PromptTemplate("x{question}"))
    item = fused.encode("Which city was", "born")
    assert item.ids[: item.answer_start] == fused.encode_prompt("Which city was")
    assert item.answer_tokens >= 1


def test_all_arg_max_means_that_greedy_decoding_starts_with_the_answer(laboratory, probes):
    """Both on a model that knows every answer and on one that knows only some."""
    for model in (laboratory.original, laboratory.retrained):
        scored = score(model, probes, generate=True, decoding=Decoding(max_new_tokens=24))
        exact = [item.generation == item.answer for item in scored]
        forced = [bool(item.greedy.all()) for item in scored]
        begun = [(item.generation or "").startswith(item.answer) for item in scored]
        assert forced == begun
        assert exact == begun
    assert 0 < sum(forced) < len(forced)


def test_a_secret_with_its_own_probability_is_scored_the_same_through_a_paraphrase_probe(laboratory, probes):
    probe = probes[0]
    again = Probe(probe.subject, probe.probe, probe.paraphrased_questions[0], probe.answer)
    first, second = score(laboratory.original, [again]), score(laboratory.original, [again, probe])
    np.testing.assert_allclose(first[0].logp, second[0].logp, atol=1e-5)
