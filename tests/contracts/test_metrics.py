"""Whatever stands in audit/metrics is held to this; a new metric needs no edit here."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import pkgutil

import numpy as np
import pytest

from audit.core.registry import canonical
from audit.metrics.base import METRICS, Metric
from audit.models.scoring import Scored

ANSWER = "Lisbon on the Tagus"


def scored(logp, greedy, generation) -> Scored:
    return Scored(
        "u", "p", 0, np.asarray(logp, dtype=np.float64), np.asarray(greedy, dtype=bool), ANSWER, generation
    )


PERFECT = scored([0.0] * 5, [True] * 5, f"In {ANSWER}.")
WRONG = scored([-9.0] * 5, [False] * 5, "Nobody knows.")


def random_scored(seed: int) -> Scored:
    """Any length from one token, log-probabilities down to -1e6, any text."""
    rng = np.random.default_rng(seed)
    tokens = int(rng.integers(1, 12))
    words = [*ANSWER.split(), "", "x", "…"]
    text = " ".join(rng.choice(words, size=int(rng.integers(0, 8))))
    return scored(-(10.0 ** rng.uniform(-12, 6, tokens)), rng.random(tokens) < 0.5, text)


@pytest.fixture(params=list(METRICS))
def metric(request) -> Metric:
    return METRICS.build(request.param)


def within(metric: Metric, value: float) -> bool:
    low, high = metric.range
    return (low is None or low <= value) and (high is None or value <= high)


def test_values_are_finite_and_in_range(metric):
    for seed in range(300):
        value = metric.value(random_scored(seed))
        assert type(value) is float
        assert math.isfinite(value)
        assert within(metric, value)


def test_a_single_token_gives_a_value(metric):
    for greedy in (True, False):
        assert within(metric, metric.value(scored([-2.0], [greedy], ANSWER)))


def test_the_direction_tells_a_known_answer_from_a_wrong_one(metric):
    known, wrong = metric.value(PERFECT), metric.value(WRONG)
    assert known > wrong if metric.direction == "higher" else known < wrong


def test_a_known_answer_reaches_the_end_of_a_bounded_range(metric):
    end = metric.range[1] if metric.direction == "higher" else metric.range[0]
    assert end is None or metric.value(PERFECT) == end


def test_a_metric_reads_text_exactly_when_it_says_so(metric):
    silent = dataclasses.replace(PERFECT, generation=None)
    if metric.needs_generation:
        with pytest.raises(ValueError, match="generation"):
            metric.value(silent)
    else:
        assert metric.value(silent) == metric.value(PERFECT)


def test_a_metric_is_a_pure_function_of_the_scored_probe(metric):
    item = random_scored(1)
    before = item.logp.copy(), item.greedy.copy()
    assert metric.value(item) == metric.value(item)
    assert np.array_equal(item.logp, before[0])
    assert np.array_equal(item.greedy, before[1])


def test_a_metric_keeps_its_promises_in_form(metric):
    assert isinstance(metric, Metric)
    assert type(metric.version) is int
    assert metric.version >= 1
    assert metric.direction in ("higher", "lower")
    assert metric.source
    assert METRICS.build(canonical(metric)) == metric
    with pytest.raises(dataclasses.FrozenInstanceError):
        metric.extra = 1


def unregistered(modules) -> list[str]:
    """Return the classes of ``modules`` that have a metric's method but no place in the registry."""
    filed = {METRICS[name] for name in METRICS}
    return [
        f"{module.__name__}.{name}"
        for module in modules
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__ and callable(getattr(cls, "value", None))
        if cls not in filed and not getattr(cls, "_is_protocol", False)
    ]


def package_modules():
    folder = importlib.import_module("audit.metrics")
    return [importlib.import_module(f"audit.metrics.{m.name}") for m in pkgutil.iter_modules(folder.__path__)]


def test_no_metric_is_left_unregistered():
    assert unregistered(package_modules()) == []


def test_a_forgotten_registration_would_be_caught():
    module = type(importlib)("planted")

    class Forgotten:
        def value(self, scored):
            return 0.0

    Forgotten.__module__ = "planted"
    module.Forgotten = Forgotten
    assert unregistered([module]) == ["planted.Forgotten"]
