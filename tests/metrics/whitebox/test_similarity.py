"""CKA and shared neighbours: what they must not see, what they must, and values counted on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from audit.metrics.whitebox.similarity import linear_cka, neighbour_overlap, similarity

RANDOM = np.random.default_rng(0)


def hsic_cka(x, y):
    """The kernel definition: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = XX', L = YY', centred by H."""
    n = len(x)
    centre = np.eye(n) - 1 / n
    k, m = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    return np.trace(k @ m) / math.sqrt(np.trace(k @ k) * np.trace(m @ m))


@given(st.integers(2, 12), st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6))
@settings(max_examples=50)
def test_cka_equals_its_definition_by_kernels(n, left, right, seed):
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(n, left)), generator.normal(size=(n, right))
    assert linear_cka(x, y) == pytest.approx(hsic_cka(x, y), abs=1e-9)


def test_rotation_scale_and_shift_change_nothing():
    x = RANDOM.normal(size=(30, 5))
    rotation = np.linalg.qr(RANDOM.normal(size=(5, 5)))[0]
    assert linear_cka(x, 3 * x @ rotation + 7) == pytest.approx(1)
    assert neighbour_overlap(x, 3 * x @ rotation, 4) == 1


def test_orthogonal_representations_share_nothing():
    """Two centred columns with inner product 0."""
    assert linear_cka(np.array([[1.0], [-1], [1], [-1]]), np.array([[1.0], [1], [-1], [-1]])) == 0


def test_a_representation_without_any_difference_has_no_similarity():
    assert math.isnan(linear_cka(np.ones((4, 2)), RANDOM.normal(size=(4, 2))))


def test_neighbours_counted_on_paper():
    """Directions 0°, 10°, 90°, 100°: pairs (0, 1), (2, 3). Others with 0°, 90°, 10°, 100°: pairs (0, 2), (1, 3)."""

    def rows(*degrees):
        return np.array([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees])

    x, y = rows(0, 10, 90, 100), rows(0, 90, 10, 100)
    assert neighbour_overlap(x, y, 1) == 0
    assert neighbour_overlap(x, rows(5, 15, 80, 100), 1) == 1
    # x: 0 {1,2}, 1 {0,2}, 2 {3,1}, 3 {2,1}; y: 0 {2,1}, 1 {3,2}, 2 {0,1}, 3 {1,2}: shares 1, 1/2, 1/2, 1
    assert neighbour_overlap(x, y, 2) == 0.75


def test_unrelated_neighbours_overlap_as_chance_says():
    """200 rows, 20 neighbours: the mean overlap is k / (n - 1) = 0.1005, its standard error below 0.006."""
    found = neighbour_overlap(RANDOM.normal(size=(200, 30)), RANDOM.normal(size=(200, 30)), 20)
    assert found == pytest.approx(20 / 199, abs=0.025)


@pytest.mark.parametrize("shapes", [((3, 2), (4, 2)), ((1, 2), (1, 2)), ((3,), (3,))])
def test_other_inputs_or_too_few_of_them_are_refused(shapes):
    with pytest.raises(ValueError, match="same n >= 2 inputs"):
        linear_cka(*(np.ones(shape) for shape in shapes))


@pytest.mark.parametrize("k", [0, 4])
def test_more_neighbours_than_there_are_others_are_refused(k):
    with pytest.raises(ValueError, match="k must be"):
        neighbour_overlap(np.ones((4, 2)), np.ones((4, 2)), k)


def test_a_model_is_like_itself_in_every_block_and_less_like_a_stranger(llama, other, lab_corpus):
    probes = [p for person in lab_corpus.forget for p in person.probes]
    same, stranger = similarity(llama, llama.clone(), probes, k=3), similarity(llama, other, probes, k=3)
    assert_allclose(same.cka, 1)
    assert same.neighbours.tolist() == [1, 1]
    assert same.chance == 3 / (len(probes) - 1)
    assert (stranger.cka < 1).all()
    assert stranger.cka.shape == stranger.neighbours.shape == (2,)
