"""What the study computes for many samples at once is what the bounds say about each."""

import numpy as np
import pytest

from audit.core.seeds import generator
from audit.risk.bounds.base import BOUNDS, Sample, build
from audit.risk.validation import batch
from audit.risk.validation.coverage import Setting
from audit.risk.validation.laws import LAWS

SAMPLES = 25


def cases():
    for name in BOUNDS.names():
        bound = BOUNDS[name]
        for design in sorted(bound.designs):
            for law in ["bernoulli"] if bound.binary else LAWS:
                yield pytest.param(
                    name, Setting(design, law, n=30, population=40), id=f"{name}, {design}, {law}"
                )


@pytest.mark.parametrize(("name", "setting"), list(cases()))
def test_p_values_and_upper_bounds_of_many_samples_equal_those_of_each(name, setting):
    bound, losses = build(name, 0.02), setting.draw(generator(0, "batches"), SAMPLES)
    samples = [Sample(row, setting.size) for row in losses]
    for alpha in (0.05, 0.1, 0.3):
        expected = [bound.p_value(sample, alpha) for sample in samples]
        np.testing.assert_allclose(batch.p_values(bound, losses, alpha, setting.size), expected, rtol=1e-9)
    for delta in (0.01, 0.2):
        expected = [bound.upper(sample, delta) for sample in samples]
        np.testing.assert_allclose(batch.uppers(bound, losses, delta, setting.size), expected, atol=1e-10)


@pytest.mark.parametrize("name", BOUNDS.names())
def test_samples_at_the_ends_agree_too(name):
    """No failure, all failures, and (for graded losses) a list that is already used up."""
    bound = build(name, 0.05)
    for design in sorted(bound.designs):
        size = None if design == "draws" else 25
        losses = np.array([np.zeros(20), np.ones(20), np.repeat([0.0, 1.0], 10), np.repeat([1.0, 0.0], 10)])
        samples = [Sample(row, size) for row in losses]
        for alpha in (0.1, 0.5, 0.99):
            expected = [bound.p_value(sample, alpha) for sample in samples]
            found = batch.p_values(bound, losses, alpha, size)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-300)
        expected = [bound.upper(sample, 0.05) for sample in samples]
        np.testing.assert_allclose(batch.uppers(bound, losses, 0.05, size), expected, atol=1e-10)


def test_any_shape_of_samples_keeps_its_shape():
    losses = np.zeros((2, 3, 4, 10))
    assert batch.p_values(build("betting", 0.05), losses, 0.1).shape == (2, 3, 4)
    assert batch.uppers(build("binomial", 0.05), losses, 0.05).shape == (2, 3, 4)


def test_betting_without_replacement_needs_the_size_of_the_list():
    with pytest.raises(ValueError, match="population=None"):
        batch.p_values(build("betting_without_replacement", 0.05), np.full((1, 4), 0.5), 0.1)
