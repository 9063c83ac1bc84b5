"""Only the question changes, wording by wording."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from audit.attacks.base import ATTACKS, AttackContext
from audit.attacks.paraphrase import Paraphrase
from audit.core.errors import AuditError
from audit.data.records import Probe

ROOMY = SimpleNamespace(fits=lambda question, answer: True)  # a model with room for every question
EMPTY = AttackContext(seed=0)
TWO = Probe(
    "u",
    "p",
    "plain ?",
    "Lisbon",
    kind="secret",
    entropy_bits=33.0,
    paraphrased_questions=("first ?", "second ?"),
)
ONE = Probe("v", "p", "plain ?", "Porto", paraphrased_questions=("only ?",))
NONE = Probe("w", "p", "plain ?", "Faro")


def asked(attack, probes):
    return [
        (item.dose, [(p.subject, p.question, p.form) for p in item.probes])
        for item in attack.apply(ROOMY, probes, EMPTY)
    ]


def test_each_dose_asks_one_wording_of_the_probes_that_have_it():
    assert asked(Paraphrase(wordings=3), [TWO, ONE, NONE]) == [
        (1.0, [("u", "first ?", "paraphrase"), ("v", "only ?", "paraphrase")]),
        (2.0, [("u", "second ?", "paraphrase")]),
    ]


def test_the_default_asks_the_first_wording():
    assert asked(ATTACKS.build("paraphrase"), [TWO]) == [(1.0, [("u", "first ?", "paraphrase")])]


def test_answer_kind_and_entropy_stay():
    (item,) = Paraphrase().apply(ROOMY, [TWO], EMPTY)
    assert [(p.answer, p.kind, p.entropy_bits) for p in item.probes] == [("Lisbon", "secret", 33.0)]


def test_without_any_paraphrase_it_is_not_applicable():
    assert Paraphrase().not_applicable(None, [NONE]) == "no paraphrases"
    assert Paraphrase().not_applicable(None, [NONE, ONE]) is None
    assert Paraphrase().not_applicable(None) is None
    assert asked(Paraphrase(), [NONE]) == []


def test_the_zero_budget_asks_the_plain_question():
    assert asked(Paraphrase().zero(), [TWO]) == [(0.0, [("u", "plain ?", "plain")])]


@pytest.mark.parametrize("text", ["paraphrase(-1)", "paraphrase(1.5)", "paraphrase(true)"])
def test_impossible_numbers_of_wordings_are_refused(text):
    with pytest.raises(AuditError, match="E112"):
        ATTACKS.build(text)
