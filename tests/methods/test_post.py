"""Post-calibration: points on the path between two models, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from audit.core.errors import AuditError
from audit.methods.base import POSTS
from audit.methods.post import uwc
from audit.methods.post.path import Line
from audit.models.training import Example


def model(*values):
    """Return a model of two one-weight layers."""
    network = torch.nn.Sequential(*(torch.nn.Linear(1, 1, bias=False) for _ in values))
    for layer, value in zip(network, values, strict=True):
        torch.nn.init.constant_(layer.weight, value)
    return SimpleNamespace(network=network)


def values(made):
    return [layer.weight.item() for layer in made.network]


@pytest.mark.parametrize(("strength", "found"), [(0, 1.0), (0.25, 1.5), (1, 3.0), (2, 5.0)])
def test_a_strength_is_a_point_on_the_line(strength, found):
    """From 1 to 3: 1 + 2 s."""
    made = model(3.0, 7.0)
    POSTS.build(f"path({strength})").calibrate(model(1.0, 7.0), made, (), seed=0)
    assert values(made) == [found, 7.0]


@pytest.mark.parametrize(("strength", "end"), [(0.0, 0.1), (1.0, 0.7)])
def test_both_ends_are_bit_exact(strength, end):
    made = model(0.7)
    Line(model(0.1), made).go(strength)
    assert torch.equal(made.network[0].weight, torch.full((1, 1), end))


def test_a_weight_that_did_not_move_keeps_its_bits_beyond_the_ends():
    made = model(1 / 3, 5.0)
    kept = made.network[0].weight.clone()
    Line(model(1 / 3, 4.0), made).go(1.7)
    assert torch.equal(made.network[0].weight, kept)


TUNE = [Example(f"r{i}", "question", "answer") for i in range(9)]


@pytest.fixture
def strength_is(monkeypatch):
    """Let the extraction strength be a function of the first weight; return the weights it was asked at."""

    def install(curve):
        asked = []

        def strength(made, probes):
            asked.append(round(values(made)[0], 6))
            return curve(values(made)[0])

        monkeypatch.setattr(uwc, "_strength", strength)
        return asked

    return install


def test_uwc_keeps_the_largest_share_that_retains_enough(strength_is):
    """Strength .8 - .4 a along a from 0 to 1: at least .75 * .8 = .6 up to a = .5."""
    asked = strength_is(lambda a: 0.8 - 0.4 * a)
    made = model(1.0)
    POSTS.build("uwc(0.75, points=4)").calibrate(model(0.0), made, TUNE, seed=0)
    assert values(made) == [0.5]
    assert asked == [0.0, 1.0, 0.75, 0.5]


def test_uwc_leaves_a_model_that_retains_enough_bit_identical(strength_is):
    strength_is(lambda a: 1.0)
    made = model(0.3)
    kept = made.network[0].weight.clone()
    POSTS.build("uwc").calibrate(model(0.1), made, TUNE, seed=0)
    assert torch.equal(made.network[0].weight, kept)


def test_uwc_goes_all_the_way_back_where_nothing_else_retains_enough(strength_is):
    strength_is(lambda a: 1.0 if a == 0 else 0.0)
    made = model(1.0)
    POSTS.build("uwc").calibrate(model(0.0), made, TUNE, seed=0)
    assert values(made) == [0.0]


def test_uwc_takes_the_largest_share_though_a_smaller_one_retains_less(strength_is):
    """Retention is not monotone: at .75 it holds, at .5 it would not."""
    strength_is(lambda a: {0.0: 1.0, 0.5: 0.2, 0.75: 0.99}.get(a, 0.5))
    made = model(1.0)
    POSTS.build("uwc(points=4)").calibrate(model(0.0), made, TUNE, seed=0)
    assert values(made) == [0.75]


def test_uwc_refuses_a_model_that_knows_none_of_the_retain_answers(strength_is):
    strength_is(lambda a: 0.0)
    with pytest.raises(AuditError, match="E266") as caught:
        POSTS.build("uwc").calibrate(model(0.0), model(1.0), TUNE, seed=0)
    assert "path" in caught.value.remedy


def test_uwc_refuses_to_choose_without_tune_subjects():
    with pytest.raises(AuditError, match="E269"):
        POSTS.build("uwc").calibrate(model(0.0), model(1.0), (), seed=0)


def test_uwc_looks_at_a_seeded_choice_where_there_are_more_than_it_takes(monkeypatch):
    seen = []
    monkeypatch.setattr(
        uwc, "_strength", lambda made, probes: seen.append([p.subject for p in probes]) or 1.0
    )
    for seed in (0, 0, 1):
        POSTS.build("uwc(sequences=3)").calibrate(model(0.0), model(1.0), TUNE, seed=seed)
    assert all(len(set(chosen)) == 3 for chosen in seen)
    assert seen[0] == seen[1] == seen[2] != seen[-1]


@pytest.mark.parametrize("text", ["path(-1)", "uwc(1.1)", "uwc(-0.1)", "uwc(points=0)", "uwc(sequences=0)"])
def test_a_parameter_outside_its_range_is_refused_by_name(text):
    with pytest.raises(AuditError, match="E112"):
        POSTS.build(text)
