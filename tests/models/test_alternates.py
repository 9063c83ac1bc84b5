from __future__ import annotations

import pytest

from audit.core.errors import AuditError
from audit.models import alternates
from audit.models.alternates import another, sampled, swapped
from audit.models.batches import Example

ADA = Example("ada/home/plain", "Where does Ada live?", "Rome")
POOL = [
    Example("bo/home/plain", "Where does Bo live?", "Rome"),
    Example("cy/home/plain", "Where does Cy live?", "Oslo"),
    Example("dee/home/plain", "Where does Dee live?", "Lima"),
    Example("dee/job/plain", "What does Dee do?", "cook"),
]


def test_swapped_answers_answer_the_same_kind_of_question_with_something_else():
    found = {answer for seed in range(20) for answer in swapped([ADA], POOL, seed)[ADA.key]}
    assert found == {"Oslo", "Lima"}


def test_where_nobody_was_asked_the_same_any_other_answer_serves():
    asked = Example("ada/birth/plain", "When was Ada born?", "cook")
    found = {answer for seed in range(20) for answer in swapped([asked], POOL, seed)[asked.key]}
    assert found == {"Rome", "Oslo", "Lima"}


def test_a_seed_fixes_the_swap_and_no_answer_is_listed_twice():
    first = swapped([ADA], POOL, 3)
    assert first == swapped([ADA], POOL, 3)
    assert len(set(first[ADA.key])) == len(first[ADA.key])


@pytest.mark.parametrize("pool", [[], POOL[:1]])
def test_a_pool_without_another_answer_is_a_coded_error(pool):
    with pytest.raises(AuditError, match="E241"):
        swapped([ADA], pool, 0)
    with pytest.raises(AuditError, match="E241"):
        another("Rome", pool, 0)


def test_another_answer_comes_with_its_place_and_every_place_is_reached():
    found = {another("Rome", POOL, seed) for seed in range(8)}
    assert found == {(1, "Oslo"), (2, "Lima"), (3, "cook")}


def test_sampled_answers_hold_no_truth_no_silence_and_nothing_twice(monkeypatch):
    drawn = [["Oslo", "in rome", " ", "Oslo", "Lima"]]
    monkeypatch.setattr(alternates, "generate", lambda *_: drawn)
    assert sampled(None, [ADA], 0) == {ADA.key: ("Oslo", "Lima")}


def test_questions_without_a_usable_sample_are_counted_in_a_coded_error(monkeypatch):
    monkeypatch.setattr(alternates, "generate", lambda *_: [["Rome"] * 5, ["Oslo"] * 5])
    with pytest.raises(AuditError, match="E242 1 of 2 questions"):
        sampled(None, [ADA, POOL[3]], 0)
