from dataclasses import replace

import pytest

from audit.core.errors import AuditError
from audit.models.trainings import TRAININGS, training_text


def names(people):
    return [person.subject for person in people]


def test_full_training_has_everybody_in_the_base_in_the_order_of_the_laboratory(corpus):
    dealt = TRAININGS.build("full").deal(corpus, 0)
    assert dealt.base == (*corpus.forget, *corpus.retain)
    assert dealt.slices == ()


def test_an_adapter_holds_the_forgotten_and_nobody_else(corpus):
    dealt = TRAININGS.build("adapter").deal(corpus, 0)
    assert (dealt.base, dealt.slices) == (corpus.retain, (corpus.forget,))


@pytest.mark.parametrize(("slices", "free"), [(1, 0), (2, 1), (3, 1), (4, 2)])
def test_slices_hold_everybody_once_and_the_forgotten_in_the_later_half(corpus, slices, free):
    base, dealt, _ = TRAININGS.build(f"sisa(slices={slices})").deal(corpus, 0)
    assert len(dealt) == slices
    everybody = names(base) + [name for one in dealt for name in names(one)]
    assert sorted(everybody) == sorted(names(corpus.forget) + names(corpus.retain))
    asked = set(names(corpus.forget))
    held = [len(asked & set(names(one))) for one in dealt]
    assert not asked & set(names(base))
    assert held[:free] == [0] * free
    assert max(held[free:]) - min(held[free:]) <= 1
    assert all(len(set(names(one)) - asked) >= 12 // slices for one in dealt)  # 12 of 24 are not in the base


@pytest.mark.parametrize("count", [2, 3, 5])
def test_shards_hold_everybody_once_and_the_forgotten_in_the_last(count, corpus):
    base, slices, shards = TRAININGS.build(f"sharded(shards={count})").deal(corpus, 0)
    assert (base, slices, len(shards)) == ((), (), count)
    everybody = [name for one in shards for name in names(one)]
    assert sorted(everybody) == sorted(names(corpus.forget) + names(corpus.retain))
    asked = set(names(corpus.forget))
    assert [len(asked & set(names(one))) for one in shards] == [0] * (count - 1) + [16]
    kept = [len(set(names(one)) - asked) for one in shards]
    assert max(kept) - min(kept) <= 1


@pytest.mark.parametrize("text", ["sisa", "sharded"])
def test_who_is_where_is_a_draw_of_the_seed(text, corpus):
    how = TRAININGS.build(text)
    assert how.deal(corpus, 0) == how.deal(corpus, 0) != how.deal(corpus, 1)


def test_a_training_is_known_by_its_text_with_every_default():
    assert training_text("full") == "full"
    assert training_text(" adapter ") == "adapter(rank=16)"
    assert training_text("sisa(3)") == "sisa(slices=3, rank=16)"
    assert training_text("sharded") == "sharded(shards=2)"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("sisaa", "E110"),
        ("sisa(", "E111"),
        ("sisa(slice=2)", "E112"),
        ("full(rank=2)", "E112"),
        ("sisa(slices=0)", "E234"),
        ("sisa(slices=1.5)", "E234"),
        ("adapter(rank=0)", "E234"),
        ("adapter(rank=true)", "E234"),
        ("sharded(shards=1)", "E244"),
        ("sharded(shards=1.5)", "E234"),
        ("sharded(slices=2)", "E112"),
    ],
)
def test_an_odd_training_is_refused(text, code):
    with pytest.raises(AuditError, match=code):
        training_text(text)


def test_more_shards_than_retained_persons_are_refused(corpus):
    few = replace(corpus, retain=corpus.retain[:2])
    assert len(TRAININGS.build("sharded(shards=2)").deal(few, 0).shards) == 2
    with pytest.raises(AuditError, match="E245"):
        TRAININGS.build("sharded(shards=3)").deal(few, 0)
