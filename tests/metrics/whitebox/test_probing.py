"""A linear probe finds what is planted and linear, nothing where nothing is, and says what chance gives."""

from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.whitebox.probing import RIDGE, _Ridge, familiarity, linear_probe

SUBJECTS, ROWS, WIDTH = 60, 3, 24


def planted(strength, *, classes=2, seed=0):
    """Return states of subjects whose label shifts them along one direction of their own by ``strength`` sds."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(SUBJECTS) % classes, ROWS)
    directions = np.linalg.qr(generator.normal(size=(WIDTH, classes)))[0].T
    states = generator.normal(size=(SUBJECTS * ROWS, WIDTH)) + strength * directions[labels]
    return states, labels, np.repeat([f"s{i:02d}" for i in range(SUBJECTS)], ROWS)


@pytest.mark.parametrize(("classes", "chance"), [(2, 1 / 2), (3, 1 / 3)])
def test_a_planted_direction_is_found_in_subjects_that_were_not_shown(classes, chance):
    found = linear_probe(*planted(12.0, classes=classes))
    assert found.accuracy == 1
    assert found.control == pytest.approx(chance, abs=0.08)
    assert found.selectivity == found.accuracy - found.control


def test_without_anything_planted_the_probe_does_as_well_as_its_control():
    """30 test subjects of 3 rows: the sd of an accuracy is at most sqrt(1/4 / 30) = .09."""
    found = [linear_probe(*planted(0.0, seed=seed)).selectivity for seed in range(20)]
    assert abs(np.mean(found)) < 3 * 0.09 / np.sqrt(20)


def test_what_marks_single_subjects_is_memorised_and_not_known():
    """Every subject its own unit vector: any labels of training subjects can be read back, none of the others'."""
    labels = np.repeat(np.arange(SUBJECTS) % 2, ROWS)
    subjects = np.repeat(np.arange(SUBJECTS), ROWS)
    found = linear_probe(10 * np.eye(SUBJECTS)[subjects], labels, [f"s{i:02d}" for i in subjects])
    assert found.memorised == 1
    assert found.accuracy == pytest.approx(0.5, abs=0.01)
    assert found.selectivity == pytest.approx(0, abs=0.06)


def test_the_order_of_rows_changes_nothing():
    states, labels, subjects = planted(1.5)
    order = np.random.default_rng(1).permutation(len(labels))
    one, other = (
        linear_probe(states, labels, subjects),
        linear_probe(states[order], labels[order], subjects[order]),
    )
    assert (one.accuracy, one.control) == pytest.approx((other.accuracy, other.control))


def test_the_classifier_is_ridge_regression_on_standardised_states():
    """Against the normal equations with the states as unknowns, on the half that the seed draws."""
    states, labels, _ = planted(1.0, seed=3)
    training, own = states[::2], labels[::2]
    x = (training - training.mean(0)) / training.std(0)
    z = (states - training.mean(0)) / training.std(0)
    hot = np.eye(2)[own]
    weights = np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(WIDTH), x.T @ (hot - hot.mean(0)))
    expected = np.argmax(hot.mean(0) + z @ weights, axis=1)
    np.testing.assert_array_equal(_Ridge(training, states).predict(own, 2), expected)


def test_the_same_seed_gives_the_same_numbers_and_another_one_other_halves():
    data = planted(1.5)
    assert linear_probe(*data, seed=1) == linear_probe(*data, seed=1)
    assert linear_probe(*data, seed=1) != linear_probe(*data, seed=2)


@pytest.mark.parametrize(
    ("labels", "subjects"),
    [([0, 0, 0, 0], "abcd"), ([0, 0, 0, 1], "abcd"), ([0, 1, 0, 1], "aabb")],
    ids=["one label", "one subject of a label", "two labels of one subject"],
)
def test_labels_that_cannot_be_learned_and_tested_are_refused(labels, subjects):
    with pytest.raises(ValueError, match="two labels of two subjects"):
        linear_probe(np.eye(4), labels, list(subjects))


def test_familiarity_has_one_result_a_block(llama, lab_corpus):
    found = familiarity(llama, lab_corpus.forget, lab_corpus.twins)
    assert len(found) == 2
    assert all(0 <= item.accuracy <= 1 and 0 <= item.control <= 1 for item in found)
