"""The attacker trains on one half and is measured on the other, along one trajectory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit.attacks import relearn as relearning
from audit.attacks.base import ATTACKS, AttackContext
from audit.attacks.relearn import Relearn
from audit.core.errors import AuditError
from audit.core.registry import canonical
from audit.core.seeds import derive
from audit.data.records import Probe
from audit.models.load import weight_digest
from audit.models.scope import parse_scope
from audit.models.scoring import score
from audit.models.training import NLL, Budget, Example, train

HALVES = {"ann": 1, "bea": 2, "cam": 1, "dot": 2}


@pytest.fixture
def context(persons) -> AttackContext:
    return AttackContext(seed=3, forget=persons, halves=HALVES)


@pytest.fixture
def probes(persons) -> list[Probe]:
    return [
        *(p for person in persons for p in person.probes),
        Probe("eve", "city", "Where was person 5 born ?", "Evora"),
    ]


def test_each_fold_trains_on_the_half_it_is_not_measured_on(model, context, probes, monkeypatch):
    shown = []
    monkeypatch.setattr(
        relearning, "train", lambda m, o, forget, *rest, **more: shown.append({e.key for e in forget})
    )
    monkeypatch.setattr(relearning._Passed, "restore", lambda *_: None)
    items = list(Relearn(steps=(1,)).apply(model, probes, context))
    assert shown == [{"bea/city/plain", "dot/city/plain"}, {"ann/city/plain", "cam/city/plain"}]
    assert [(i.fold, [p.subject for p in i.probes]) for i in items] == [
        (1, ["ann", "cam", "eve"]),
        (2, ["bea", "dot", "eve"]),
    ]


@pytest.mark.parametrize("scope", ["all", "lora(2)", "layers(1:2).mlp"])
def test_each_dose_is_the_model_that_stopped_there(model, context, probes, persons, scope):
    """Oracle: an own training run of exactly that many steps, from the same start with the same seed."""
    attack = Relearn(steps=(1, 3), lr=1e-3, batch=2, scope=scope)
    found = {(i.fold, i.dose): weight_digest(i.model) for i in attack.apply(model, probes, context)}
    for fold in (1, 2):
        shown = [p for s in persons if HALVES[s.subject] != fold for p in s.probes]
        examples = [Example(f"{p.subject}/{p.probe}/{p.form}", p.question, p.answer) for p in shown]
        for steps in (1, 3):
            copy = model.clone()
            budget = Budget(lr=1e-3, steps=steps, batch=2)
            train(
                copy, NLL(), examples, (), budget, scope=parse_scope(scope), seed=derive(3, "relearn", fold)
            )
            assert found[fold, float(steps)] == weight_digest(copy)
    assert len(set(found.values())) == 4


def test_the_attacker_learns_what_it_is_shown(model, context, probes, persons):
    def mean_nll(m, fold) -> float:
        shown = [p for s in persons if HALVES[s.subject] != fold for p in s.probes]
        return -sum(s.logp.mean() for s in score(m, shown)) / len(shown)

    for item in Relearn(steps=(20,), lr=3e-3).apply(model, probes, context):
        assert mean_nll(item.model, item.fold) < 0.1 * mean_nll(model, item.fold)


def test_dose_zero_can_precede_the_others(model, context, probes):
    items = [
        (i.fold, i.dose, weight_digest(i.model)) for i in Relearn(steps=(0, 2)).apply(model, probes, context)
    ]
    assert [item[:2] for item in items] == [(1, 0.0), (1, 2.0), (2, 0.0), (2, 2.0)]
    assert items[0][2] == items[2][2] == weight_digest(model) != items[1][2]


def test_the_folds_are_different_models(model, context, probes):
    first, second = (weight_digest(i.model) for i in Relearn(steps=(2,)).apply(model, probes, context))
    assert first != second


def test_another_seed_is_another_attack(model, context, probes):
    other = AttackContext(seed=4, forget=context.forget, halves=HALVES)
    attack = Relearn(steps=(1,), batch=1)
    digests = [[weight_digest(i.model) for i in attack.apply(model, probes, c)] for c in (context, other)]
    assert digests[0] != digests[1]


def test_an_adapter_is_merged_before_training(model, context, probes):
    adapted = model.clone()
    parse_scope("lora(2)").apply(adapted, seed=0)
    items = [i.model.has_adapter for i in Relearn(steps=(1,)).apply(adapted, probes, context)]
    assert items == [False, False]


def test_a_fold_without_a_question_is_not_trained(model, context, probes):
    only_first = [p for p in probes if p.subject == "ann"]
    assert [i.fold for i in Relearn(steps=(1,)).apply(model, only_first, context)] == [1]


@pytest.mark.parametrize("halves", [{}, {"ann": 1, "bea": 1, "cam": 1, "dot": 1}, {"ann": 1, "bea": 2}])
def test_halves_that_do_not_cover_the_list_are_refused(model, context, probes, halves):
    wrong = AttackContext(seed=3, forget=context.forget, halves=halves)
    with pytest.raises(ValueError, match="two halves"):
        next(Relearn().apply(model, probes, wrong))


@pytest.mark.parametrize(
    "text",
    [
        "relearn(steps=[])",
        "relearn(steps=[5, 5])",
        "relearn(steps=[5, 1])",
        "relearn(steps=[-1])",
        "relearn(steps=[1.5])",
        "relearn(lr=0)",
        "relearn(batch=0)",
        "relearn(scope=everything)",
    ],
)
def test_impossible_parameters_are_refused(text):
    with pytest.raises(AuditError, match=r"E112|E211"):
        ATTACKS.build(text)


def test_one_number_of_steps_may_stand_without_brackets():
    assert canonical(ATTACKS.build("relearn(25, scope='lora( 8 )')")) == (
        "relearn(steps=[25], lr=0.0003, batch=32, scope='lora(8)', arm=persons, seed=0)"
    )


def test_what_is_kept_at_a_dose_does_not_move_with_further_training(model):
    seen = relearning._Passed(frozenset({1}))
    train(model, NLL(), [Example("a", "who ?", "Lisbon")], (), Budget(steps=1), seed=0, callbacks=[seen])
    digest = weight_digest(model)
    train(model, NLL(), [Example("a", "who ?", "Lisbon")], (), Budget(steps=2), seed=0)
    assert weight_digest(model) != digest
    seen.restore(model, 1)
    assert weight_digest(model) == digest


def shown_and_asked(arm, probes, context, monkeypatch, model):
    """What each training shows, and what its model is asked afterwards."""
    shown = []
    monkeypatch.setattr(relearning, "train", lambda m, o, forget, *rest, **more: shown.append(list(forget)))
    monkeypatch.setattr(relearning._Passed, "restore", lambda *_: None)
    items = list(Relearn(steps=(1,), arm=arm).apply(model, probes, context))
    return shown, [{(p.subject, p.probe) for p in item.probes} for item in items]


def test_other_attributes_of_a_person_are_shown_and_the_rest_is_asked(model, persons, monkeypatch):
    """Two questions about each person: each is asked once, in the model that was shown the other one."""
    both = [
        replace(s, probes=(*s.probes, Probe(s.subject, "lives", "In city lives person ?", "Evora")))
        for s in persons
    ]
    context = AttackContext(seed=3, forget=both)
    probes = [p for s in both for p in s.probes] + [
        Probe("eve", "city", "Where was person 5 born ?", "Evora")
    ]
    shown, asked = shown_and_asked("attributes", probes, context, monkeypatch, model)
    assert [{e.key.split("/")[1] for e in examples} for examples in shown] == [{"city"}, {"lives"}]
    assert asked == [{(s.subject, "lives") for s in both}, {(s.subject, "city") for s in both}]


def test_what_is_shown_about_nobody_names_nobody_and_no_answer(model, context, probes, persons, monkeypatch):
    (examples,), (asked,) = shown_and_asked("syntax", probes, context, monkeypatch, model)
    answers = {p.answer for s in persons for p in s.probes}
    assert len(examples) == len(persons)
    assert not answers & {e.answer for e in examples}
    assert all(
        e.question.startswith("Where was person ") for e in examples
    )  # the form stays, the number does not
    assert [len(e.answer) for e in examples] == [len(p.answer) for s in persons for p in s.probes]
    assert len(asked) == len(probes)


def test_unrelated_text_is_sums(model, context, probes, monkeypatch):
    (examples,), (asked,) = shown_and_asked("unrelated", probes, context, monkeypatch, model)
    for example in examples:
        a, b = example.question.removeprefix("What is ").removesuffix("?").split(" + ")
        assert int(example.answer) == int(a) + int(b)
    assert len(asked) == len(probes)


def test_only_the_arm_that_shows_what_is_asked_stands_outside_the_bound():
    arms = ("persons", "attributes", "syntax", "unrelated", "own")
    assert [arm for arm in arms if Relearn(arm=arm).injects] == ["own"]


def test_another_seed_takes_another_order(model, context, probes):
    """Batches of one of two examples: the weights after a step tell which came first."""
    digests = {
        weight_digest(
            next(Relearn(steps=(1,), batch=1, arm="own", seed=seed).apply(model, probes, context)).model
        )
        for seed in range(6)
    }
    assert len(digests) > 1
