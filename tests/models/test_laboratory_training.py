from __future__ import annotations

from dataclasses import replace

import pytest

from audit.core.errors import AuditError
from audit.core.seeds import derive
from audit.data.records import Corpus
from audit.data.registry_lab import both_wordings
from audit.models import sharded
from audit.models.digests import weight_digest
from audit.models.joined import constituents
from audit.models.laboratory import LaboratorySpec, train_on, train_reference, training_examples
from audit.models.laboratory_training import LaboratoryTraining
from audit.models.sharded import ShardedTraining
from audit.models.sliced import base_of, parts_of, stacked
from audit.models.strangers import readers, strangers_of
from audit.models.trainings import TRAININGS

SPEC = LaboratorySpec(hidden=32, intermediate=64, layers=1, heads=2, epochs=1, vocabulary=300, release="full")


@pytest.fixture(scope="module")
def people(corpus):
    return Corpus(corpus.forget[:2], corpus.retain[:6])


@pytest.fixture
def training(people):
    """Return the training of a laboratory of eight persons, by its text."""
    both = both_wordings(people, 0)
    return lambda text: LaboratoryTraining(people, SPEC, TRAININGS.build(text), both, "cpu")


def test_full_training_done_again_is_the_laboratorys_original_bit_by_bit(people, training):
    """The original of a laboratory that names no training is the one it always was."""
    original = train_reference(people, "original", SPEC, both_wordings=both_wordings(people, 0), device="cpu")
    assert weight_digest(training("full").again(with_forgotten=True, seed=0)) == weight_digest(original)


def test_without_the_forgotten_full_training_sees_the_retain_side_alone(people, training):
    made = training("full").again(with_forgotten=False, seed=0)
    strangers = Corpus((), people.retain, people.forget)  # the same texts for the tokenizer, nobody to forget
    both = both_wordings(people, 0)
    never = train_on(strangers, people.retain, SPEC, ("original",), both_wordings=both, device="cpu")
    control = train_reference(people, "retrained", SPEC, both_wordings=both, device="cpu")
    assert (
        weight_digest(made) == weight_digest(never) != weight_digest(control)
    )  # the control draws for itself


def test_another_seed_is_another_draw(training):
    first, second = (training("full").again(with_forgotten=False, seed=seed) for seed in (0, 1))
    assert weight_digest(first) != weight_digest(second)


def test_dropping_the_adapter_of_the_forgotten_is_training_without_them(training):
    how = training("adapter(rank=4)")
    original = how.again(with_forgotten=True, seed=0)
    dropped = weight_digest(base_of(original))
    assert original.has_adapter
    assert dropped == weight_digest(how.again(with_forgotten=False, seed=0))
    assert dropped == weight_digest(how.resume(original, with_forgotten=False))


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_slices_trained_again_without_the_forgotten_are_exact(slices, training):
    how = training(f"sisa(slices={slices}, rank=4)")
    original = how.again(with_forgotten=True, seed=0)
    made = how.resume(original, with_forgotten=False)
    assert (
        weight_digest(made)
        == weight_digest(how.again(with_forgotten=False, seed=0))
        != weight_digest(original)
    )
    assert weight_digest(how.resume(original, with_forgotten=True)) == weight_digest(original)
    before = slices // 2  # slices that never held a forgotten person
    kept = [stacked(base_of(m), parts_of(m, [True] * slices)[:before]) for m in (original, made)]
    assert weight_digest(kept[0]) == weight_digest(kept[1])


@pytest.fixture
def in_shards(training, monkeypatch):
    """Return a training in three shards that is over soon."""
    monkeypatch.setattr(sharded, "STEPS", 3)
    return training("sharded(shards=3)")


def test_shards_trained_again_without_the_forgotten_are_exact(in_shards):
    original = in_shards.again(with_forgotten=True, seed=0)
    made = in_shards.resume(original, with_forgotten=False)
    assert (
        weight_digest(made)
        == weight_digest(in_shards.again(with_forgotten=False, seed=0))
        != weight_digest(original)
    )
    assert weight_digest(in_shards.resume(original, with_forgotten=True)) == weight_digest(original)


def test_only_the_shard_of_the_forgotten_is_trained_again(in_shards, monkeypatch):
    original = in_shards.again(with_forgotten=True, seed=0)
    trained = []
    learn = ShardedTraining._constituent
    monkeypatch.setattr(
        ShardedTraining, "_constituent", lambda *given: trained.append(given[1]) or learn(*given)
    )
    made = in_shards.resume(original, with_forgotten=False)
    assert trained == [2]
    same = [
        weight_digest(one) == weight_digest(other)
        for one, other in zip(constituents(original, 3), constituents(made, 3), strict=True)
    ]
    assert same == [True, True, False]


def test_a_constituent_is_what_training_on_its_shard_alone_gives(people, in_shards):
    """Nobody of another shard has left a trace, not even in the tokenizer."""
    made = in_shards.again(with_forgotten=False, seed=0)
    shards = in_shards.how.deal(people, SPEC.seed).shards
    gone = {person.subject for person in people.forget}
    for number, one in enumerate(constituents(made, 3)):
        known = tuple(person for person in shards[number] if person.subject not in gone)
        strangers = strangers_of(known, 3, derive(SPEC.seed, "strangers", "original", "shard", number))
        alone = train_on(
            readers(derive(SPEC.seed, "tokenizer")),
            known,
            replace(SPEC, epochs=3),  # three steps, and a shard is one batch
            ("original", "shard", number),
            both_wordings=in_shards.both_wordings & {p.subject for p in known},
            device="cpu",
            strangers=training_examples(strangers, frozenset(s.subject for s in strangers)),
        )
        assert weight_digest(one) == weight_digest(alone)


def test_the_control_has_the_originals_sizes_and_draws_of_its_own(training, in_shards):
    made = in_shards.control()
    without = in_shards.again(with_forgotten=False, seed=0)
    assert made.network.config.to_dict() == without.network.config.to_dict()
    assert weight_digest(made) != weight_digest(without)
    sliced = training("sisa(slices=2, rank=4)")
    never = train_reference(
        sliced.corpus, "retrained", SPEC, both_wordings=sliced.both_wordings, device="cpu"
    )
    assert weight_digest(sliced.control()) == weight_digest(never)


def test_what_was_trained_at_once_cannot_be_taken_up_again(training):
    how = training("full")
    with pytest.raises(AuditError, match="E232"):
        how.resume(how.again(with_forgotten=True, seed=0), with_forgotten=False)
