from __future__ import annotations

import pytest

from audit.core.errors import AuditError
from audit.data.records import Corpus
from audit.data.registry_lab import both_wordings
from audit.models.digests import weight_digest
from audit.models.laboratory import LaboratorySpec, train_on, train_reference
from audit.models.laboratory_training import LaboratoryTraining
from audit.models.sliced import base_of, parts_of, stacked
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


def test_what_was_trained_at_once_cannot_be_taken_up_again(training):
    how = training("full")
    with pytest.raises(AuditError, match="E232"):
        how.resume(how.again(with_forgotten=True, seed=0), with_forgotten=False)
