"""GCG: the gradient by finite differences, the best swap by brute force, and whose answers it is found on."""

from __future__ import annotations

import dataclasses
from itertools import islice, pairwise

import numpy as np
import pytest
import torch

from audit.attacks import gcg, suffix
from audit.attacks.base import ATTACKS, AttackContext
from audit.attacks.suffix import Placed, Swaps, alphabet, behind, search
from audit.core.errors import AuditError
from audit.data.records import Probe
from audit.data.registry_lab import generate
from audit.models.batches import Example
from audit.models.laboratory import LaboratorySpec, new_model, tokenizer_for
from audit.models.scoring import score

SHOWN = [
    Example("a", "Where was person 1 born ?", "Porto"),
    Example("b", "Where was person 2 born ?", "8 8 1"),
]
ALL = Swaps(length=1, candidates=1000, top=1000)


def context(persons) -> AttackContext:
    return AttackContext(seed=3, forget=persons, halves={"ann": 1, "bea": 2, "cam": 1, "dot": 2})


def token(model, word) -> int:
    (only,) = model.tokenizer(word, add_special_tokens=False)["input_ids"]
    return only


def loss(model, text) -> float:
    """Mean over both answers of the negative log-likelihood per token with a text behind the question."""
    probes = [Probe("", "", f"{one.question} {text}", one.answer) for one in SHOWN]
    return float(np.mean([-np.mean(scored.logp) for scored in score(model, probes)]))


def test_slopes_are_the_finite_differences_of_the_loss_in_the_one_hot_entries(model):
    """Adding t times a token's embedding at a place of the suffix: central differences."""
    words = (token(model, "Faro"), token(model, "9"))
    placed = Placed.of(model, SHOWN, words)
    slopes = placed.slopes()
    network = model.network.double()  # norms stay in single precision, hence no smaller differences
    table = network.get_input_embeddings().weight

    def shifted(place, word, t):
        total = 0.0
        for one in SHOWN:
            item = model.encode(f"{one.question} Faro 9", one.answer)
            ids = torch.tensor(item.ids[: len(item.ids) - 1])  # without the end token
            at = [i for i in range(len(ids)) if tuple(ids[i : i + 2].tolist()) == words][-1]
            embedded = table[ids].clone()
            embedded[at + place] += t * table[word]
            logp = network(inputs_embeds=embedded[None]).logits[0].log_softmax(-1)
            answer = range(item.answer_start, len(ids))
            total -= np.mean([float(logp[i - 1, ids[i]]) for i in answer]) / len(SHOWN)
        return total

    with torch.no_grad():
        for place in (0, 1):
            for word in map(lambda w: token(model, w), ("who", "Lisbon", "3")):
                by_hand = (shifted(place, word, 3e-3) - shifted(place, word, -3e-3)) / 6e-3
                assert float(slopes[place, word]) == pytest.approx(by_hand, rel=1e-2, abs=1e-4)


def test_with_every_swap_tried_one_step_takes_the_best_of_all_tokens(model):
    tokens = alphabet(model)
    texts = [model.tokenizer.decode([i]) for i in tokens]
    before, after = islice(search(model, SHOWN, ALL, tokens, np.random.default_rng(0)), 2)
    by_hand = {text: loss(model, text) for text in texts}
    assert min(by_hand.values()) < by_hand[before]  # there is something to gain
    assert after == min(by_hand, key=by_hand.get)


def test_swaps_are_drawn_among_the_steepest_and_change_one_place():
    tokens = np.array([10, 11, 12])
    slopes = np.array([[3.0, -1.0, 2.0], [-5.0, 0.0, 1.0]])
    drawn = suffix._drawn((10, 10), slopes, Swaps(2, 100, 2), tokens, np.random.default_rng(0))
    # place 0: tokens 11 and 12; place 1: tokens 10 (which stands there already) and 11
    assert sorted(drawn) == [(10, 11), (11, 10), (12, 10)]
    assert len(suffix._drawn((10, 10), slopes, Swaps(2, 1, 2), tokens, np.random.default_rng(0))) == 1


def test_the_first_suffix_is_one_token_repeated_and_stays_where_nothing_can_be_swapped(model):
    porto = np.array([token(model, "Porto")])
    found = list(islice(search(model, SHOWN, Swaps(3, 5, 5), porto, np.random.default_rng(0)), 3))
    assert found == ["Porto Porto Porto"] * 3


def test_no_step_raises_the_loss(model):
    found = islice(search(model, SHOWN, Swaps(3, 8, 8), alphabet(model), np.random.default_rng(1)), 8)
    losses = [loss(model, text) for text in found]
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(losses))
    assert losses[-1] < losses[0]


def test_a_suffix_is_always_read_back_as_the_tokens_it_was_made_of():
    """A byte-level tokenizer joins letters: of the tokens tried many would not survive being written out."""
    corpus = generate(1, forget=6, retain=2, twins=2)
    spec = LaboratorySpec(hidden=32, intermediate=48, vocabulary=400)
    model = new_model(tokenizer_for(corpus, spec), spec, 0, "cpu")
    shown = [
        Example(str(i), s.probes[1].question, s.probes[1].answer) for i, s in enumerate(corpus.forget[:2])
    ]
    plain = [len(model.encode_prompt(one.question)) for one in shown]
    for text in islice(search(model, shown, Swaps(4, 32, 64), alphabet(model), np.random.default_rng(0)), 6):
        told = [len(model.encode_prompt(behind(one.question, text))) for one in shown]
        assert [after - before for before, after in zip(plain, told, strict=True)] == [4, 4]


def test_only_readable_tokens_are_used_and_none_at_all_is_an_error(model):
    read = [model.tokenizer.decode([i]) for i in alphabet(model)]
    assert "Lisbon" in read
    assert not {"<unk>", "</s>"} & set(read)
    with pytest.raises(AuditError, match="E280"):
        next(search(model, SHOWN, ALL, np.zeros(0, dtype=np.int64), np.random.default_rng(0)))


def test_each_half_is_asked_with_a_suffix_found_on_the_other(model, persons, monkeypatch):
    seen = []

    def recorded(_model, shown, *_rest):
        seen.append({one.key.split("/")[0] for one in shown})
        yield from ("Faro", "Faro 9", "Evora")

    monkeypatch.setattr(gcg, "search", recorded)
    probes = [p for s in persons for p in s.probes]
    items = list(ATTACKS.build("gcg(steps=[1, 2])").apply(model, probes, context(persons)))
    assert seen == [{"bea", "dot"}, {"ann", "cam"}]
    asked = [(i.fold, i.dose, [(p.subject, p.question) for p in i.probes]) for i in items]
    assert asked == [
        (1, 1.0, [("ann", "Where was person 0 born ? Faro 9"), ("cam", "Where was person 2 born ? Faro 9")]),
        (1, 2.0, [("ann", "Where was person 0 born ? Evora"), ("cam", "Where was person 2 born ? Evora")]),
        (2, 1.0, [("bea", "Where was person 1 born ? Faro 9"), ("dot", "Where was person 3 born ? Faro 9")]),
        (2, 2.0, [("bea", "Where was person 1 born ? Evora"), ("dot", "Where was person 3 born ? Evora")]),
    ]


def test_with_target_own_each_question_has_a_suffix_found_on_its_own_answer(model, persons, monkeypatch):
    seen = []

    def recorded(_model, shown, *_rest):
        seen.append([one.answer for one in shown])
        yield from ("!", shown[0].answer)

    monkeypatch.setattr(gcg, "search", recorded)
    probes = [p for s in persons for p in s.probes]
    attack = ATTACKS.build("gcg(steps=[1], target=own)")
    (item,) = attack.apply(model, probes, context(persons))
    assert seen == [["Lisbon"], ["Porto"], ["Faro"], ["Braga"]]
    assert item.fold == 0
    assert [p.question for p in item.probes][1] == "Where was person 1 born ? Porto"


def test_a_question_that_no_longer_fits_with_its_suffix_is_not_asked(model, persons):
    long = dataclasses.replace(persons[0].probes[0], subject="long", question="born " * 50 + "?")
    probes = [long, *(p for s in persons for p in s.probes)]
    items = list(ATTACKS.build("gcg(steps=[1], length=12)").apply(model, probes, context(persons)))
    assert {p.subject for item in items for p in item.probes} == {"ann", "bea", "cam", "dot"}


def test_a_universal_suffix_may_enter_the_bound_and_one_of_its_own_may_not():
    assert not ATTACKS.build("gcg").injects
    assert ATTACKS.build("gcg(target=own)").injects


def test_cost_counts_backward_and_candidate_passes():
    """10 steps, each 3 + 16 sequences for each of 8 of 1,000 shown, two halves, two doses; own: for each question."""
    assert ATTACKS.build("gcg(steps=[5, 10])").cost == pytest.approx(2 * (2 + 10 * 19 * 0.008))
    assert ATTACKS.build("gcg(steps=[5, 10], target=own)").cost == 2 + 10 * 19


@pytest.mark.parametrize(
    "text",
    ["steps=[]", "steps=[2, 1]", "steps=[1.5]", "length=0", "candidates=true", "target=twins", "shown=-1"],
)
def test_impossible_parameters_are_refused(text):
    with pytest.raises(AuditError, match="E112"):
        ATTACKS.build(f"gcg({text})")
