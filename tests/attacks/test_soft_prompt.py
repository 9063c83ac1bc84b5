"""Soft prompts: what the network is given, the first step by hand, and why they prove nothing by themselves."""

from __future__ import annotations

import dataclasses
from itertools import islice, repeat

import numpy as np
import pytest
import torch

from audit.attacks import soft_prompt
from audit.attacks.base import ATTACKS, AttackContext
from audit.attacks.soft import descend, initial, prompted, scale, softened
from audit.core.errors import AuditError
from audit.metrics.inputs import Company, scored_for
from audit.models.batches import Example
from audit.models.generation import Decoding, generate
from audit.models.load import weight_digest
from audit.models.scoring import score

QUESTION, ANSWER = "Where was person 1 born ?", "8 8 1"
HALVES = {"ann": 1, "bea": 2, "cam": 1, "dot": 2}


def context(persons) -> AttackContext:
    return AttackContext(seed=3, forget=persons, halves=HALVES)


def by_hand(model, vectors) -> torch.Tensor:
    """Log-probabilities of the answer's tokens with ``vectors`` (M, H) in front, from the network's own embeddings."""
    item = model.encode(QUESTION, ANSWER)
    ids = torch.tensor(item.ids[:-1])
    embedded = torch.cat([vectors, model.network.get_input_embeddings()(ids)])
    logp = model.network(inputs_embeds=embedded[None]).logits[0].log_softmax(-1)
    places = torch.arange(item.answer_start, len(ids))
    return logp[places + len(vectors) - 1, ids[places]]


@pytest.fixture
def vectors(model) -> torch.Tensor:
    return initial(model, 2, np.random.default_rng(5)) + 0.1


def test_scores_and_answers_are_those_of_the_network_with_the_vectors_in_front(model, persons, vectors):
    probe = dataclasses.replace(persons[0].probes[0], question=QUESTION, answer=ANSWER)
    asked = prompted(model, 2, None)
    with softened(model.network, vectors), torch.no_grad():
        (scored,) = score(asked, [probe])
        ((said,),) = generate(asked, [QUESTION], Decoding(max_new_tokens=1))
    with torch.no_grad():
        assert scored.logp == pytest.approx(by_hand(model, vectors).numpy(), abs=1e-5)
        ids = torch.tensor(model.encode_prompt(QUESTION))
        embedded = torch.cat([vectors, model.network.get_input_embeddings()(ids)])
        first = int(model.network(inputs_embeds=embedded[None]).logits[0, -1].argmax())
    assert said == model.tokenizer.decode([first], skip_special_tokens=True).strip()


def test_the_first_step_is_adams_the_rate_against_the_sign_of_the_gradient(model, vectors):
    """Adam's first move is lr * g / (|g| + 1e-8); the gradient is taken through the embeddings directly."""
    leaf = vectors.clone().requires_grad_()
    (slope,) = torch.autograd.grad(-by_hand(model, leaf).mean(), leaf)
    batches = repeat([Example("one", QUESTION, ANSWER)])
    before, after = islice(descend(prompted(model, 2, None), vectors, batches, lr=0.01), 2)
    assert torch.equal(before, vectors)
    assert torch.allclose(after, vectors - 0.01 * slope / (slope.abs() + 1e-8), atol=1e-5)


def test_first_vectors_are_rows_of_the_embedding_matrix_and_the_rate_is_in_its_root_mean_squares(model):
    table = model.network.get_input_embeddings().weight
    for row in initial(model, 3, np.random.default_rng(0)):
        assert bool((table == row).all(1).any())
    assert scale(model) == pytest.approx(float(np.sqrt(np.mean(table.detach().numpy() ** 2))), rel=1e-5)


def test_more_steps_make_the_answer_likelier_and_leave_model_and_questions_alone(model, persons):
    probes = [p for s in persons for p in s.probes]
    plain, digest = [s.logp.mean() for s in score(model, probes)], weight_digest(model)
    found = {}
    for item in ATTACKS.build("soft_prompt(steps=[0, 5, 20])").apply(model, probes, context(persons)):
        found[item.dose] = [s.logp.mean() for s in score(item.model, item.probes)]
        assert [p.question for p in item.probes] == [p.question for p in probes]
        assert [s.logp.mean() for s in score(model, probes)] == plain  # the given model notices nothing
    assert found[0.0] == plain
    assert all(b > a for a, b in zip(found[0.0], found[5.0], strict=True))
    assert all(b > a for a, b in zip(found[5.0], found[20.0], strict=True))
    assert weight_digest(model) == digest


def test_a_model_that_knows_nothing_can_be_made_to_say_anything(model, persons):
    """Why the attack stands outside the bound: random weights, random digits, everyone is `recovered`."""
    digits = np.random.default_rng(1).integers(1, 9, size=(4, 3))
    probes = [
        dataclasses.replace(s.probes[0], answer=" ".join(map(str, row)))
        for s, row in zip(persons, digits.tolist(), strict=True)
    ]
    assert not any(s.greedy.all() for s in score(model, probes))
    for item in ATTACKS.build("soft_prompt(steps=[80])").apply(model, probes, context(persons)):
        assert all(s.greedy.all() for s in score(item.model, item.probes))


def test_a_question_gets_the_same_prompt_alone_and_in_company(model, persons):
    probes = [p for s in persons for p in s.probes]

    def values(asked):
        items = ATTACKS.build("soft_prompt(steps=[3])").apply(model, asked, context(persons))
        return {s.subject: s.logp for item in items for s in score(item.model, item.probes)}

    together = values(probes)
    for probe in probes:
        # the first moves are lr times a sign: a rounding error may turn the sign of a slope near zero
        assert values([probe])[probe.subject] == pytest.approx(together[probe.subject], abs=1e-2)


def test_one_prompt_for_all_is_found_on_the_half_that_is_not_asked(model, persons, monkeypatch):
    seen = []

    def recorded(own, first, batches, lr):
        seen.append({one.key.split("/")[0] for one in next(batches)})
        yield from descend(own, first, batches, lr)

    monkeypatch.setattr(soft_prompt, "descend", recorded)
    attack = ATTACKS.build("soft_prompt(steps=[1], target=persons)")
    probes = [p for s in persons for p in s.probes]
    items = [
        (i.fold, [p.subject for p in i.probes], len(score(i.model, i.probes)))
        for i in attack.apply(model, probes, context(persons))
    ]
    assert seen == [{"bea", "dot"}, {"ann", "cam"}]
    assert items == [(1, ["ann", "cam"], 2), (2, ["bea", "dot"], 2)]
    assert attack.injects


def test_a_question_without_room_for_the_tokens_is_not_asked(model, persons):
    """The toy's context is 64: prompt 56 + 4 (Q : A :) + answer and end 2 leaves room for 2 tokens, not for 4."""
    long = dataclasses.replace(persons[0].probes[0], subject="long", question="born " * 55 + "?")
    assert len(model.encode(long.question, long.answer).ids) == 62
    for tokens, asked in ((2, {"long", "bea"}), (4, {"bea"})):
        attack = ATTACKS.build(f"soft_prompt(steps=[1], tokens={tokens})")
        (item,) = attack.apply(model, [long, *persons[1].probes], context(persons))
        assert {p.subject for p in item.probes} == asked


def test_a_question_without_soft_tokens_of_its_own_is_no_question_for_it(model, persons):
    """recall_ratio asks behind solved questions: such a question has no prompt, and one prompt for all needs room."""
    probes = [p for s in persons[:2] for p in s.probes]
    company = Company(prefix=(dataclasses.replace(persons[3].probes[0], subject="stranger"),))
    values = {}
    for target in ("own", "persons"):
        attack = ATTACKS.build(f"soft_prompt(steps=[1], target={target})")
        for item in attack.apply(model, probes, context(persons)):
            for one in scored_for(["recall_ratio"], item.model, item.probes, company=company):
                values[target, one.subject] = one.prefixed_logp
    assert [values["own", name] for name in ("ann", "bea")] == [None, None]
    assert all(len(values["persons", name]) == 1 for name in ("ann", "bea"))
    asked = prompted(model, 4, None)
    assert model.fits("born " * 55 + "?", "Lisbon")
    assert not asked.fits("born " * 55 + "?", "Lisbon")


def test_cost_counts_forward_and_backward_passes():
    """20 steps of 3 passes and two doses; one prompt for all: batches of 32 of 1,000, two halves."""
    assert ATTACKS.build("soft_prompt(steps=[5, 20])").cost == 2 + 60
    assert ATTACKS.build("soft_prompt(steps=[5, 20], target=persons)").cost == pytest.approx(
        2 * (2 + 60 * 0.032)
    )


@pytest.mark.parametrize(
    "text", ["steps=[]", "steps=[-1]", "tokens=0", "lr=0", "lr=true", "batch=1.5", "target=all"]
)
def test_impossible_parameters_are_refused(text):
    with pytest.raises(AuditError, match="E112"):
        ATTACKS.build(f"soft_prompt({text})")
