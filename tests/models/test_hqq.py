"""HQQ against the weights that the library itself gives."""

from __future__ import annotations

import pytest
import torch

from audit.models.hqq import hqq, quantize_hqq, ragged
from audit.models.layers import linear_weights

# hqq 0.2.8.post1 (Apache-2.0), torch 2.13.0 on a CPU:
# Quantizer.quantize(W, nbits=4, group_size=64, axis=1, round_zero=True, optimize=True, bitpack=False);
# codes as hexadecimal digits, zero point, step.
LIBRARY = (
    (
        "7af659c2002d855fb8bf567d4004e673edbde294f7228f3b1cfefb0d1ec77cd0",
        7.326362609863281,
        0.00797214824706316,
    ),
    (
        "d89b7755be4a71868c8b833b9696442069ce57b2595ba9946747df9750568fd8",
        7.596580505371094,
        0.5458986759185791,
    ),
    (
        "13210243223542456535676468765798778b9889ca8abcb9bcdcaceddbdfedde",
        1.0492641925811768,
        0.23618195950984955,
    ),
    ("0" * 64, -1.5091510263687269e-09, 1.0),
)


def weights() -> torch.Tensor:
    """Four groups: small as a network's weights are, with outliers, lopsided, and nearly flat."""
    i = torch.arange(64, dtype=torch.float64)
    small, outliers = 0.06 * torch.sin(0.37 * i * i), 2 * torch.sin(0.11 * i * i) + 3 * torch.cos(7 * i) ** 9
    lopsided, flat = 0.5 * torch.sin(1.3 * i) ** 3 + 0.05 * i, 1e-6 * torch.sin(i)
    return torch.stack([small, outliers, lopsided, flat]).float()


def test_it_gives_the_librarys_own_weights():
    expected = torch.stack(
        [torch.tensor([(int(digit, 16) - zero) * step for digit in digits]) for digits, zero, step in LIBRARY]
    )
    assert torch.allclose(hqq(weights()), expected, rtol=1e-6, atol=1e-9)


def test_groups_run_along_the_rows_and_span_them_as_in_the_library():
    w = weights()
    assert torch.equal(hqq(w.reshape(2, 128)), hqq(w).reshape(2, 128))
    assert torch.equal(hqq(w.reshape(8, 32)), hqq(w).reshape(8, 32))
    assert torch.equal(hqq(w, 0), hqq(w))


def test_every_group_has_at_most_16_evenly_spaced_levels():
    for row in hqq(weights())[:3]:
        levels = row.unique()
        gaps = levels.diff() / levels.diff().min()
        assert len(levels) <= 16
        assert torch.allclose(gaps, gaps.round(), atol=1e-3)


def test_a_network_is_rounded_in_its_projections_only(model):
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    expected = {f"{name}.weight": hqq(m.clone()) for name, m in linear_weights(model.network).items()}
    quantize_hqq(model.network)
    for name, matrix in linear_weights(model.network).items():
        assert torch.equal(matrix, expected[f"{name}.weight"])
    assert all(torch.equal(t, before[n]) != (n in expected) for n, t in model.network.state_dict().items())


def test_a_group_that_divides_no_matrix_is_named(llama):
    assert ragged(llama.network, 64) is None
    assert ragged(llama.network, 0) is None
    assert ragged(llama.network, 48) == "a matrix of 4096 weights is no multiple of 48"


def test_a_group_that_does_not_fit_is_refused():
    with pytest.raises(RuntimeError, match="shape"):
        hqq(weights(), 48)
