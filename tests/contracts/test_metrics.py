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
from audit.metrics.base import METRICS, Absent, Metric
from audit.metrics.inputs import INPUTS
from audit.models.activations import Lens
from audit.models.scoring import Scored

ANSWER = "Lisbon on the Tagus"
EVERYTHING = frozenset(INPUTS)


def scored(logp, greedy, generation, *, wrong, paraphrase, other, norm) -> Scored:
    """Return a probe with everything any metric may need; ``other``: nll under a reference or after a prefix."""
    tokens = np.asarray(logp, dtype=np.float64)
    return Scored(
        *("u", "p", 0, tokens, np.asarray(greedy, dtype=bool), ANSWER, generation),
        question="Where does the river end?",
        asked=EVERYTHING,
        standardised=tokens / 2,
        paraphrase_logp=np.asarray(paraphrase, dtype=np.float64),
        wrong_logp=tuple(np.asarray(one, dtype=np.float64) for one in wrong),
        reference_logp=np.full(tokens.size, other),
        prefixed_logp=np.full(tokens.size, other),
        gradient_norm=norm,
        lens=Lens(np.stack([tokens, tokens]), np.stack([np.asarray(greedy, dtype=bool)] * 2)),
        patching_depth=float(1 - np.mean(greedy)),
    )


PERFECT = scored(
    [0.0] * 5, [True] * 5, ANSWER, wrong=[[-1e3] * 4] * 3, paraphrase=[0.0] * 6, other=-3.0, norm=0.0
)
WRONG = scored(
    [-9.0] * 5, [False] * 5, "I don't know.", wrong=[[-0.1] * 4] * 3, paraphrase=[-9.0], other=-3.0, norm=9.0
)
FLUENT, BROKEN = "She was born in Lisbon and lives there.", "the the the the the the the the"
FIELDS = {
    "generation": {"generation": None},
    "moments": {"standardised": None},
    "paraphrase": {"paraphrase_logp": None},
    "wrong_answers": {"wrong_logp": ()},
    "reference": {"reference_logp": None},
    "prefix": {"prefixed_logp": None},
    "gradient": {"gradient_norm": None},
    "layers": {"lens": None},
    "original": {},
    "patching": {"patching_depth": None},
}


def random_scored(seed: int) -> Scored:
    """Any length from one token, log-probabilities down to -1e6, any text."""
    rng = np.random.default_rng(seed)

    def logps(tokens: int) -> np.ndarray:
        return -(10.0 ** rng.uniform(-12, 6, tokens))

    tokens = int(rng.integers(1, 12))
    words = [*ANSWER.split(), "", "x", "…"]
    text = " ".join(rng.choice(words, size=int(rng.integers(0, 8))))
    return scored(
        logps(tokens),
        rng.random(tokens) < 0.5,
        text,
        wrong=[logps(int(rng.integers(1, 9))) for _ in range(int(rng.integers(1, 6)))],
        paraphrase=logps(int(rng.integers(1, 9))),
        other=float(logps(1)[0]),
        norm=float(-logps(1)[0]),
    )


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
        single = dataclasses.replace(
            PERFECT, logp=np.array([-2.0]), greedy=np.array([greedy]), standardised=np.array([-1.0])
        )
        assert within(metric, metric.value(single))


def test_the_direction_tells_a_known_answer_from_a_wrong_one_and_speech_from_stammer(metric):
    if metric.tells == "knowledge":
        better, worse = metric.value(PERFECT), metric.value(WRONG)
    else:
        better, worse = (metric.value(dataclasses.replace(PERFECT, generation=t)) for t in (FLUENT, BROKEN))
    assert better > worse if metric.direction == "higher" else better < worse


def test_a_known_answer_reaches_the_end_of_a_bounded_range(metric):
    end = metric.range[1] if metric.direction == "higher" else metric.range[0]
    if metric.tells == "knowledge":
        assert end is None or metric.value(PERFECT) == end


def test_a_metric_reads_what_it_says_it_needs_and_nothing_else(metric):
    assert set(metric.needs) <= set(FIELDS) == set(INPUTS)
    for need, gone in FIELDS.items():
        without = dataclasses.replace(PERFECT, **gone)
        if need not in metric.needs:
            assert metric.value(without) == metric.value(PERFECT)
        elif not (need == "paraphrase" and "wrong_answers" in metric.needs):  # the answer itself stands in
            with pytest.raises(Absent, match=need):
                metric.value(without)


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
    assert metric.tells in ("knowledge", "fluency")
    assert metric.needs <= {"generation"} or not metric.standard  # every audit pays for the standard ones
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
