"""Rows keep their order, leave out what was not measured, and never hold text."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audit.core.errors import AuditError
from audit.metrics import measure as measuring
from audit.metrics.base import METRICS
from audit.metrics.catalogue import table
from audit.models.scoring import Scored


def scored(subject="u", probe="p", draw=0, logp=(-1.0, -3.0), generation=None) -> Scored:
    tokens = np.array(logp, dtype=np.float64)
    return Scored(subject, probe, draw, tokens, np.zeros(tokens.size, dtype=bool), "Lisbon", generation)


def test_rows_come_probe_by_probe_in_the_order_given():
    rows = measuring.measure([scored(draw=1), scored(subject="v")], ["nll", "forced_match"])
    assert [(r.subject, r.draw, r.metric, r.value) for r in rows] == [
        ("u", 1, "nll", 2.0),
        ("u", 1, "forced_match", 0.0),
        ("v", 0, "nll", 2.0),
        ("v", 0, "forced_match", 0.0),
    ]


@pytest.mark.parametrize("broken", [math.nan, -math.inf])
def test_a_probe_from_a_broken_forward_pass_has_no_rows_at_all(broken):
    """Its arg max would give extraction strength 0, which would read as forgotten."""
    rows = measuring.measure(
        [scored(logp=(-1.0, broken)), scored(subject="v")], ["extraction_strength", "nll"]
    )
    assert {row.subject for row in rows} == {"v"}


def test_an_unknown_metric_is_an_error_before_anything_is_measured():
    with pytest.raises(AuditError, match="did you mean 'nll'"):
        measuring.measure([], ["nl"])


def test_without_generation_keeps_what_one_forward_pass_gives():
    assert measuring.without_generation(["exact_match", "nll", "rouge_l_recall", "forced_match"]) == (
        "nll",
        "forced_match",
    )


def test_the_header_records_name_version_direction_and_range():
    record = measuring.records(["nll"])[0]
    assert (record.name, record.version, record.direction, record.range) == ("nll", 1, "lower", (0.0, None))


def test_the_table_has_one_row_for_every_registered_metric():
    rows = {row["metric"]: row for row in table()}
    assert list(rows) == list(METRICS)
    assert all(row["about"] and row["source"] for row in rows.values())
    assert rows["nll"]["range"] == [0.0, None]
