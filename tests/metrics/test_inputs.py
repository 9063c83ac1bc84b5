"""What metrics need beside the one forward pass, against slow oracles that go token by token."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from random_networks import random_network

from audit.core.errors import AuditError
from audit.data.records import Probe
from audit.metrics.base import METRICS, Absent
from audit.metrics.gradients import gradient_norms
from audit.metrics.inputs import (
    COMPANY,
    INPUTS,
    SHOTS,
    Company,
    needs_of,
    refuse_unmeasurable,
    scored_for,
)
from audit.metrics.measure import measure
from audit.models.digests import weight_digest
from audit.models.load import LanguageModel
from audit.models.scoring import Decoding, score

ALTERNATIVES = ("truth_ratio_geometric", "truth_ratio_arithmetic", "normalised_probability", "choice")


def distributions(model, question, answer):
    """Return the answer's tokens without EOS and, before each, the log-probabilities of the vocabulary, float64."""
    item = model.encode(question, answer)
    rows = []
    for position in range(item.answer_start, len(item.ids) - item.eos):
        with torch.no_grad():
            rows.append(
                model.network(torch.tensor([item.ids[:position]])).logits[0, -1].double().log_softmax(-1)
            )
    return item.ids[item.answer_start : len(item.ids) - item.eos], torch.stack(rows).numpy()


def logps(model, question, answer):
    tokens, rows = distributions(model, question, answer)
    return rows[np.arange(len(tokens)), list(tokens)]


def test_standardised_values_equal_the_definition_over_the_vocabulary(model, asked):
    """(log p - mu) / sigma with mu, sigma^2 the mean and variance of log p under p itself."""
    for probe, item in zip(asked, scored_for(["min_k_plus_plus_40"], model, asked), strict=True):
        tokens, rows = distributions(model, probe.question, probe.answer)
        share = np.exp(rows)
        mean = (share * rows).sum(1)
        sigma = np.sqrt((share * rows**2).sum(1) - mean**2)
        expected = (rows[np.arange(len(tokens)), list(tokens)] - mean) / sigma
        np.testing.assert_allclose(item.standardised, expected, atol=2e-4)


def test_asking_for_moments_changes_nothing_else(llama, asked):
    plain, rich = score(llama, asked), score(llama, asked, moments=True)
    for one, other in zip(plain, rich, strict=True):
        np.testing.assert_array_equal(one.logp, other.logp)
        assert one.standardised is None
        assert one.asked == frozenset()


def test_paraphrased_and_wrong_answers_are_scored_after_the_same_question(model, asked):
    found = scored_for(ALTERNATIVES, model, asked)
    for probe, item in zip(asked, found, strict=True):
        np.testing.assert_allclose(item.logp, logps(model, probe.question, probe.answer), atol=1e-5)
        for text, values in zip(probe.perturbed_answers, item.wrong_logp, strict=True):
            np.testing.assert_allclose(values, logps(model, probe.question, text), atol=1e-5)
        if probe.paraphrased_answer:
            expected = logps(model, probe.question, probe.paraphrased_answer)
            np.testing.assert_allclose(item.paraphrase_logp, expected, atol=1e-5)
        else:
            assert item.paraphrase_logp is None


def test_a_probe_without_wrong_answers_has_no_truth_ratio_and_the_others_have(llama, asked):
    rows = measure(scored_for([*ALTERNATIVES, "nll"], llama, asked), [*ALTERNATIVES, "nll"])
    measured = {(row.probe, row.metric) for row in rows}
    assert {probe for probe, metric in measured if metric == "choice"} == {"full", "options"}
    assert ("plain", "nll") in measured
    assert len(rows) == 2 * len(ALTERNATIVES) + 3


def test_what_nobody_asked_for_is_a_programming_error_not_an_absence(llama, asked):
    with pytest.raises(Absent, match="wrong_answers"):
        measure(score(llama, asked), ["choice"])
    with pytest.raises(Absent, match="moments"):
        measure(scored_for(["choice"], llama, asked), ["min_k_plus_plus_20"])


STRANGERS = (
    Probe("s", "book", "Who wrote it?", "Anna Lind."),
    Probe("t", "song", "Who sings?", "Bo Ek."),
)


def test_reference_and_prefix_are_scored_on_the_same_answer(llama, asked, lab_tokenizer):
    other = LanguageModel(random_network("llama", len(lab_tokenizer), seed=5), lab_tokenizer, llama.prompt)
    company = Company(reference=other, prefix=STRANGERS)
    found = scored_for(["reference_gap", "recall_ratio"], llama, asked, company=company)
    for probe, item in zip(asked, found, strict=True):
        np.testing.assert_allclose(item.reference_logp, logps(other, probe.question, probe.answer), atol=1e-5)
        longer = f"Who wrote it? Anna Lind.\nWho sings? Bo Ek.\n\n{probe.question}"
        np.testing.assert_allclose(item.prefixed_logp, logps(llama, longer, probe.answer), atol=1e-5)
        own = logps(llama, probe.question, probe.answer).mean()
        gap = METRICS.build("reference_gap").value(item)
        assert gap == pytest.approx(logps(other, probe.question, probe.answer).mean() - own, abs=1e-5)
        ratio = METRICS.build("recall_ratio").value(item)
        assert ratio == pytest.approx(logps(llama, longer, probe.answer).mean() / own, rel=1e-5)


def test_nobody_is_asked_after_answers_about_himself_and_all_after_equally_many(llama):
    """Of SHOTS + 1 strangers each sees the first SHOTS of the others, somebody else the first SHOTS."""
    people = [Probe(str(i), "code", f"Number {i}?", str(i)) for i in range(SHOTS + 1)]
    probes = [people[0], people[1], Probe("nobody", "code", "Which?", "9")]
    found = scored_for(["recall_ratio"], llama, probes, company=Company(prefix=tuple(people)))
    for probe, item in zip(probes, found, strict=True):
        shown = [p for p in people if p.subject != probe.subject][:SHOTS]
        longer = "\n".join(f"Number {p.subject}? {p.answer}" for p in shown) + f"\n\n{probe.question}"
        np.testing.assert_allclose(item.prefixed_logp, logps(llama, longer, probe.answer), atol=1e-5)


def test_a_question_that_does_not_fit_behind_the_prefix_has_no_ratio(llama, asked):
    """The third question is short enough for the context with the prefix, the second alone."""
    room = len(llama.encode(f"Who wrote it? Anna Lind.\n\n{asked[2].question}", asked[2].answer).ids)
    llama.network.config.max_position_embeddings = room + 2
    probes = [Probe("u", "long", "Which one of the many of them is it? " * 2, "Lowell"), asked[2]]
    scored = scored_for(["recall_ratio"], llama, probes, company=Company(prefix=STRANGERS[:1]))
    assert [row.probe for row in measure(scored, ["recall_ratio"])] == ["plain"]
    alone = Company(prefix=(Probe("v", "other", "What else?", "No."),))
    assert measure(scored_for(["recall_ratio"], llama, [asked[2]], company=alone), ["recall_ratio"]) == []


@pytest.mark.parametrize(
    ("metric", "company"), [("reference_gap", Company(prefix=STRANGERS)), ("recall_ratio", Company())]
)
def test_missing_company_is_e355(llama, asked, metric, company):
    with pytest.raises(AuditError) as caught:
        scored_for([metric], llama, asked, company=company)
    assert caught.value.code == "E355"


def test_a_run_refuses_metrics_it_has_no_company_for():
    refuse_unmeasurable(["nll", "choice", "gradient_norm"], ())
    refuse_unmeasurable(["reference_gap", "recall_ratio"], ("reference", "prefix"))
    for metric, other, code in (
        ("reference_gap", "prefix", "E142"),
        ("recall_ratio", "reference", "E143"),
    ):
        with pytest.raises(AuditError) as caught:
            refuse_unmeasurable(["nll", metric], (other,))
        assert caught.value.code == code


def finite_difference(model, probe, weight, index, step=1e-3):
    """Central difference of the mean nll of the answer in one weight."""
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.view(-1)[index] += sign * step
        values.append(-logps(model, probe.question, probe.answer).mean())
        with torch.no_grad():
            weight.view(-1)[index] -= sign * step
    return (values[0] - values[1]) / (2 * step)


def test_the_gradient_norm_is_the_mean_over_tensors_of_the_nll_s_gradient(llama, asked):
    """Against plain backward on one long expression, and the largest entry against a finite difference."""
    probe = asked[0]
    (found,) = gradient_norms(llama, [probe])
    item = llama.encode(probe.question, probe.answer)
    ids = torch.tensor([item.ids[: len(item.ids) - item.eos]])
    logits = llama.network(ids).logits[0, item.answer_start - 1 : -1]
    nll = -logits.log_softmax(-1)[torch.arange(logits.shape[0]), ids[0, item.answer_start :]].mean()
    nll.backward()
    weights = list(llama.network.parameters())
    assert found == pytest.approx(float(torch.stack([w.grad.norm() for w in weights]).mean()), rel=1e-5)
    largest = weights[0].grad.abs().argmax().item()
    slope = finite_difference(llama, probe, weights[0].data, largest)
    assert slope == pytest.approx(float(weights[0].grad.view(-1)[largest]), rel=0.02)


def test_measuring_gradients_leaves_the_model_as_it_was(llama, asked):
    digest = weight_digest(llama)
    frozen = next(iter(llama.network.parameters()))
    frozen.requires_grad_(False)
    first = gradient_norms(llama, asked)
    assert first == gradient_norms(llama, asked)
    assert not frozen.requires_grad
    assert all(w.grad is None for w in llama.network.parameters())
    assert weight_digest(llama) == digest


def test_several_samples_share_what_their_probe_has(llama, asked):
    decoding = Decoding(4, temperature=1.0, samples=2)
    found = scored_for([*ALTERNATIVES, "refusal"], llama, asked, generate=True, decoding=decoding)
    assert [item.draw for item in found] == [0, 1] * 3
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert first.wrong_logp is second.wrong_logp or not first.wrong_logp
        assert first.asked == second.asked == {"paraphrase", "wrong_answers"}


def test_needs_add_up_and_every_need_says_what_it_costs():
    assert needs_of(["nll"]) == frozenset()
    assert needs_of(["choice", "rouge_l_f1"]) == {"wrong_answers", "generation"}
    assert all(dataclasses.astuple(need) and need.cost for need in INPUTS.values())
    assert needs_of(METRICS) <= set(INPUTS)
    assert set(COMPANY) <= set(INPUTS)
