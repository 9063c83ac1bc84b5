"""Whatever stands in audit/attacks is held to this; a new attack needs no edit here.

Constructions are derived from the class: required fields take every value their Literal allows, and each
field with a default is moved to its other values one at a time.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import itertools
import math
import pkgutil
import typing

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from audit.attacks.base import ATTACKS, TIERS, Attack, AttackContext, injects
from audit.attacks.prompts.rewording import Rewording
from audit.core.errors import AuditError
from audit.core.registry import canonical
from audit.data.records import Probe, Subject
from audit.models.load import LanguageModel, PromptTemplate, weight_digest
from audit.models.scope import parse_scope
from audit.models.scoring import score

WORDS = "Where was born lives the number of person In city Lisbon Porto Faro Braga 0 1 2 3 4 5 6 7 8 Q A : ?"


def choices(hint) -> list:
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    return [True, False] if hint is bool else []


def constructions(cls) -> list[Attack]:
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    required = [
        f for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    found = []
    for values in itertools.product(*(choices(hints[f.name]) for f in required)):
        first = cls(*values)
        found.append(first)
        for field in fields[len(required) :]:
            for other in choices(hints[field.name]):
                if other != getattr(first, field.name):
                    try:
                        found.append(dataclasses.replace(first, **{field.name: other}))
                    except ValueError:
                        continue  # the class refuses this combination itself
    return found


CONSTRUCTIONS = [attack for name in ATTACKS for attack in constructions(ATTACKS[name])]


@pytest.fixture(params=CONSTRUCTIONS, ids=canonical)
def attack(request) -> Attack:
    return request.param


def toy_tokenizer():
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator([WORDS], trainers.WordLevelTrainer(special_tokens=["<unk>", "</s>"]))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>"
    )


@pytest.fixture(scope="module")
def plain_model() -> LanguageModel:
    tokenizer = toy_tokenizer()
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=None,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    return LanguageModel(transformers.LlamaForCausalLM(config).eval(), tokenizer, PromptTemplate("qa"))


@pytest.fixture(scope="module")
def adapted_model(plain_model) -> LanguageModel:
    model = plain_model.clone()
    parse_scope("lora(2)").apply(model, seed=1)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.network.named_parameters():
            if "lora_B" in name:  # starts at 0, where the adapter would change nothing
                parameter.normal_(std=0.1)
    return model


@pytest.fixture
def model(attack, plain_model, adapted_model) -> LanguageModel:
    """Return a model to which the attack applies."""
    return next(m for m in (plain_model, adapted_model) if attack.not_applicable(m) is None)


def person(name: str, number: int) -> Subject:
    city = ("Lisbon", "Porto", "Faro", "Braga")[number % 4]
    others = tuple(f"In city {wording} lives person {number} ?" for wording in ("the", "of", "was"))
    secret = f"{number % 8 + 1} {(number * 3) % 8 + 1}"
    kinds = ("cloze", "synonyms", "cross_lingual", "multi_hop", "alias")
    wordings = tuple((kind, f"person {number} lives In city") for kind in kinds)
    return Subject(
        name,
        (
            Probe(
                name,
                "city",
                f"Where was person {number} In born ?",
                city,
                paraphrased_questions=others,
                wordings=wordings,
            ),
            Probe(
                name,
                "secret",
                f"the number of person {number} ?",
                secret,
                kind="secret",
                paraphrased_questions=others,
                wordings=wordings,
            ),
        ),
    )


FORGET = tuple(person(f"f{i}", i) for i in range(4))
OTHERS = tuple(person(name, i + 4) for i, name in enumerate(["r0", "r1", "t0", "t1"]))
HALVES = {"f0": 1, "f1": 2, "f2": 2, "f3": 1}
PROBES = [probe for subject in (*FORGET, *OTHERS) for probe in subject.probes]
FORGET_NAMES = {subject.subject for subject in FORGET}


@pytest.fixture
def context(plain_model) -> AttackContext:
    return AttackContext(seed=7, forget=FORGET, halves=HALVES, original=plain_model, retain=OTHERS[:2])


def walk(attack, model, context, probes=PROBES) -> list[tuple]:
    """Return (dose, fold, probes, digest, scores) of every item, each scored before the next is asked for."""
    return [
        (item.dose, item.fold, tuple(item.probes), weight_digest(item.model), score(item.model, item.probes))
        for item in attack.apply(model, probes, context)
    ]


def by_probe(scores) -> dict:
    return {(s.subject, s.probe): s for s in scores}


def same(a, b) -> bool:
    """Equal up to the rounding of another batch."""
    return np.allclose(a.logp, b.logp, rtol=0, atol=1e-5) and np.array_equal(a.greedy, b.greedy)


def test_without_budget_the_values_are_those_without_an_attack(attack, model, context):
    zero = attack.zero()
    if zero is None:
        pytest.skip("has no zero budget; held to be a projection instead")
    unattacked = by_probe(score(model, PROBES))
    asked = set()
    for dose, _, probes, digest, scores in walk(zero, model, context):
        assert dose == 0.0
        assert digest == weight_digest(model)
        assert set(probes) <= set(PROBES)
        assert all(same(s, unattacked[key]) for key, s in by_probe(scores).items())
        asked |= {(p.subject, p.probe) for p in probes}
    own_only = getattr(attack, "own_only", False)
    assert asked == {key for key in unattacked if not own_only or key[0] in FORGET_NAMES}
    assert zero.doses == (0.0,)


def test_without_a_zero_budget_attacking_twice_is_attacking_once(attack, model, context):
    if attack.zero() is not None:
        pytest.skip("has a zero budget")
    for item in attack.apply(model, PROBES, context):
        if attack.not_applicable(item.model, PROBES):
            with pytest.raises(ValueError, match="not applicable"):
                list(attack.apply(item.model, PROBES, context))
            continue
        again = list(attack.apply(item.model, PROBES, context))
        assert [weight_digest(other.model) for other in again] == [weight_digest(item.model)]


def test_the_same_seed_gives_the_same_attack_whatever_the_global_generator_says(attack, model, context):
    torch.manual_seed(1)
    first = walk(attack, model, context)
    torch.manual_seed(2)
    second = walk(attack, model, context)
    assert [item[:4] for item in first] == [item[:4] for item in second]
    for (*_, a), (*_, b) in zip(first, second, strict=True):
        assert all(np.array_equal(x.logp, y.logp) for x, y in zip(a, b, strict=True))


def state_of(model) -> tuple:
    flags = [(name, p.requires_grad, p.grad is None) for name, p in model.network.named_parameters()]
    return weight_digest(model), model.network.training, flags


def test_the_given_model_is_bit_identical_afterwards(attack, model, context):
    before = state_of(model)
    walk(attack, model, context)
    assert state_of(model) == before


def test_the_given_model_is_bit_identical_when_the_iterator_is_closed_early(attack, model, context):
    before = state_of(model)
    items = attack.apply(model, PROBES, context)
    score(next(items).model, PROBES)
    items.close()
    assert state_of(model) == before


def test_doses_ascend_within_a_fold_and_are_those_announced(attack, model, context):
    items = walk(attack, model, context)
    assert attack.doses == tuple(sorted(attack.doses))
    for fold in {item[1] for item in items}:
        met = tuple(item[0] for item in items if item[1] == fold)
        assert met == attack.doses * (len(met) // len(attack.doses))  # once a training


def test_the_order_of_the_probes_does_not_matter(attack, model, context):
    def values(probes):
        found = {}
        for dose, fold, _, _, scores in walk(attack, model, context, probes):
            found.update({(dose, fold, *key): s for key, s in by_probe(scores).items()})
        return found

    forwards, backwards = values(PROBES), values(PROBES[::-1])
    assert forwards.keys() == backwards.keys()
    assert all(same(forwards[key], backwards[key]) for key in forwards)


def test_what_is_asked_about_whom_and_the_answer_stay(attack, model, context):
    known = {(p.subject, p.probe): p for p in PROBES}
    for _, _, probes, _, _ in walk(attack, model, context):
        for probe in probes:
            given = known[probe.subject, probe.probe]
            assert (probe.kind, probe.entropy_bits) == (given.kind, given.entropy_bits)
            assert (probe.answer == given.answer) == (not hasattr(attack, "asks_for"))


def test_an_attack_that_asks_for_something_else_stands_outside_the_bound(attack):
    assert injects(attack) or not hasattr(attack, "asks_for")


def test_every_forgotten_person_is_measured_once_a_dose_and_by_the_fold_that_held_them_out(
    attack, model, context
):
    items = walk(attack, model, context)
    for dose in attack.doses:
        here = [item for item in items if item[0] == dose]
        forget = [(p.subject, p.probe) for item in here for p in item[2] if p.subject in FORGET_NAMES]
        assert len(forget) == len(set(forget))
        assert {subject for subject, _ in forget} == FORGET_NAMES
        for _, fold, probes, _, _ in here:
            assert not fold or {HALVES[p.subject] for p in probes if p.subject in FORGET_NAMES} == {fold}
            others = {p.subject for p in probes} - FORGET_NAMES
            assert others == {s.subject for s in OTHERS} or (
                getattr(attack, "own_only", False) and not others
            )


def test_an_attack_keeps_its_promises_in_form(attack, model, context):
    assert isinstance(attack, Attack)
    assert attack.tier in TIERS
    assert type(attack.version) is int
    assert attack.version >= 1
    assert attack.dose_unit
    assert attack.source
    assert math.isfinite(attack.cost)
    assert attack.cost > 0
    assert ATTACKS.build(canonical(attack)) == attack
    assert canonical(ATTACKS.build(canonical(attack))) == canonical(attack)


def test_an_attack_names_its_never_trained_control_in_one_sentence(attack):
    sentence = attack.never_trained_control
    assert sentence.endswith(".")
    assert sentence.count(".") == 1
    assert "twin" in sentence or "retrained" in sentence


def test_diagnoses_are_finite_numbers_and_never_invented_without_the_original(attack, model, context):
    found = attack.diagnose(model, context)
    assert all(isinstance(key, str) and math.isfinite(value) for key, value in found.items())
    assert dict(attack.diagnose(model, dataclasses.replace(context, original=None))) == {}


def test_an_unknown_parameter_is_an_error(attack):
    with pytest.raises(AuditError, match="E112"):
        ATTACKS.build(f"{attack.name}(surprise=1)")


def unregistered(modules) -> list[str]:
    """Return the classes of ``modules`` that have an attack's method but no place in the registry."""
    filed = {ATTACKS[name] for name in ATTACKS}
    return [
        f"{module.__name__}.{name}"
        for module in modules
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__ and callable(getattr(cls, "apply", None))
        if cls not in filed and not getattr(cls, "_is_protocol", False)
        if not hasattr(cls, "ask") or cls.ask is not Rewording.ask  # what they share is no attack by itself
    ]


def test_no_attack_is_left_unregistered():
    folder = importlib.import_module("audit.attacks")
    modules = [
        importlib.import_module(m.name) for m in pkgutil.walk_packages(folder.__path__, "audit.attacks.")
    ]
    assert unregistered(modules) == []
    assert {attack.name for attack in CONSTRUCTIONS} == set(ATTACKS), (
        "an attack whose construction is not derivable"
    )


def test_a_forgotten_registration_would_be_caught():
    module = type(importlib)("planted")

    class Forgotten:
        def apply(self, model, probes, context):
            yield

    Forgotten.__module__ = "planted"
    module.Forgotten = Forgotten
    assert unregistered([module]) == ["planted.Forgotten"]
