"""RMU's direction and the depth of its block, as published (arXiv:2403.03218, eq. 1 and the official settings)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from scipy import stats

from audit.methods.objectives.rmu import block_at, direction

WIDE = 20_000


def drawn(context):
    return direction(context, torch.zeros(1, 1, WIDE))


def test_the_direction_is_a_unit_vector_of_uniform_entries(away):
    """|U| = sqrt(H / 3) for H entries uniform in [0, 1]: u sqrt(H / 3) is uniform again, all of it positive."""
    u = drawn(away(frozenset()))
    assert float(u.norm()) == pytest.approx(1, abs=1e-5)
    assert (u >= 0).all()
    scaled = (u * (WIDE / 3) ** 0.5).numpy()
    assert stats.kstest(scaled, "uniform").statistic < 1.95 / WIDE**0.5  # p = 0.001; |Gaussian| entries: 0.1


def test_the_direction_stays_the_same_through_a_run_and_differs_by_seed(away):
    context, other = away(frozenset()), away(frozenset())
    other.seed = 1
    assert torch.equal(drawn(context), drawn(context))
    assert not torch.equal(drawn(context), drawn(other))


@pytest.mark.parametrize(
    ("depth", "count", "block"), [(0.22, 32, 7), (0.22, 16, 3), (0.0, 2, 0), (0.99, 2, 1), (0.5, 3, 1)]
)
def test_a_depth_is_the_block_it_falls_into(depth, count, block, monkeypatch):
    """7 of Zephyr-7B's 32 as published; 3.52 is in block 3, and every depth below 1 is in some block."""
    monkeypatch.setattr("audit.methods.objectives.rmu.blocks", lambda network: range(count))
    context = SimpleNamespace(model=SimpleNamespace(network=None))
    assert block_at(context, depth) == block
