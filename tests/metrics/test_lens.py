"""Logit lens: hand counts on planted layers, and what every model obeys."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audit.metrics.base import METRICS, Absent, standard_metrics
from audit.metrics.inputs import INPUTS, refuse_unmeasurable, scored_for
from audit.metrics.measure import measure
from audit.models.activations import Lens
from audit.models.scoring import Scored, score

NAMES = ("logit_lens", "lens_depth")


def planted(shares, greedy):
    read = Lens(np.log(np.array(shares, dtype=float)), np.array(greedy, dtype=bool))
    return Scored("u", "p", 0, read.logp[-1], read.greedy[-1], "a", None, lens=read)


def test_the_block_that_tells_most_counts_even_if_the_last_one_keeps_silent():
    """Geometric means 1/8, 1/2 and 1/100: the second block tells most."""
    item = planted([[0.25, 0.0625], [0.5, 0.5], [0.01, 0.01]], [[0, 0], [1, 1], [0, 0]])
    assert METRICS.build("logit_lens").value(item) == pytest.approx(math.log(1 / 2))
    assert METRICS.build("nll").value(item) == pytest.approx(math.log(100))


def test_depth_counts_the_blocks_after_which_every_token_is_the_likeliest():
    """Of four blocks the second and third say both tokens; one token is no answer."""
    item = planted([[0.1, 0.1]] * 4, [[0, 0], [1, 1], [1, 1], [1, 0]])
    assert METRICS.build("lens_depth").value(item) == 0.5
    assert METRICS.build("lens_depth").value(planted([[0.9]], [[0]])) == 0
    assert METRICS.build("lens_depth").value(planted([[0.9]], [[1]])) == 1


def test_a_certain_answer_is_exactly_zero_and_never_above():
    assert METRICS.build("logit_lens").value(planted([[1.0 + 1e-12]], [[1]])) == 0


def test_on_every_architecture_it_is_at_least_what_the_model_says(model, asked):
    rows = measure(scored_for([*NAMES, "nll"], model, asked), [*NAMES, "nll"])
    found = {(row.probe, row.metric): row.value for row in rows}
    assert len(found) == 3 * len(asked)
    for probe in asked:
        assert -found[probe.probe, "nll"] - 1e-5 <= found[probe.probe, "logit_lens"] <= 0
        assert 0 <= found[probe.probe, "lens_depth"] <= 1


def test_layers_are_read_only_on_demand(llama, asked):
    assert score(llama, asked)[0].lens is None
    assert "layers" in INPUTS
    assert not set(NAMES) & set(standard_metrics())
    with pytest.raises(Absent, match="layers"):
        measure(score(llama, asked), ["logit_lens"])


def test_a_plan_may_name_them():
    refuse_unmeasurable(NAMES, ())  # raises otherwise
