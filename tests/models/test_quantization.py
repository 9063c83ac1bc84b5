from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from audit.models.bitsandbytes_backend import bitsandbytes_network, library_weight
from audit.models.layers import linear_weights
from audit.models.load import weight_digest
from audit.models.quantization import (
    NF4_LEVELS,
    code_change_share,
    codes,
    fake_quantize,
    quantize_network,
    steps,
)
from audit.models.scope import parse_scope


def weight(seed: int, out: int = 24, width: int = 192, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(out, width, generator=torch.Generator().manual_seed(seed))


def test_int4_rounds_each_group_of_64_to_multiples_of_a_seventh_of_its_peak():
    """Peak 7 gives scale 1: 0.4 -> 0, 0.6 -> 1, -3.2 -> -3, 7 -> 7; a group of peak 14 has scale 2."""
    row = torch.zeros(1, 128)
    row[0, :4] = torch.tensor([0.4, 0.6, -3.2, 7.0])
    row[0, 64:67] = torch.tensor([14.0, 0.9, 1.1])
    assert fake_quantize(row)[0, :4].tolist() == [0.0, 1.0, -3.0, 7.0]
    assert fake_quantize(row)[0, 64:67].tolist() == [14.0, 0.0, 2.0]
    assert codes(row)[0, [0, 1, 2, 3, 64, 65, 66]].tolist() == [0, 1, -3, 7, 7, 0, 1]


@given(
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-12, 1e-3, 0.06, 1.0, 300.0]),
    width=st.sampled_from([64, 192, 100]),
)
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("scheme", ["int4", "nf4"])
def test_rounding_twice_changes_no_bit(scheme, seed, scale, width):
    once = fake_quantize(weight(seed, 8, width, scale), scheme)
    assert torch.equal(fake_quantize(once, scheme), once)
    assert torch.equal(codes(once, scheme), codes(weight(seed, 8, width, scale), scheme))


@pytest.mark.parametrize("scheme", ["int4", "nf4"])
def test_no_group_has_more_than_16_values(scheme):
    groups = fake_quantize(weight(0), scheme).reshape(-1, 64)
    assert max(len(set(group.tolist())) for group in groups) <= 16


def test_int4_errs_by_at_most_half_a_step():
    """A step is peak/7; the scale's bfloat16 rounding (1 part in 256) adds at most 7/256 of a step."""
    w = weight(1)
    step = w.reshape(-1, 64).abs().amax(1) / 7
    error = (fake_quantize(w) - w).reshape(-1, 64).abs().amax(1)
    assert (error <= (0.5 + 7 / 256) * step).all()


@pytest.mark.parametrize("scheme", ["int4", "nf4"])
def test_a_zero_matrix_stays_zero(scheme):
    assert torch.equal(fake_quantize(torch.zeros(3, 64), scheme), torch.zeros(3, 64))


@pytest.mark.parametrize("scheme", ["int4", "nf4"])
def test_a_width_that_is_no_multiple_of_the_group_is_rounded_whole(scheme):
    w = weight(2, 5, 100)
    assert fake_quantize(w, scheme).shape == codes(w, scheme).shape == (5, 100)
    if scheme == "int4":  # each row ends in a group of 36
        tail = fake_quantize(torch.nn.functional.pad(w[:, 64:], (0, 28)))[:, :36]
        assert torch.equal(fake_quantize(w)[:, 64:], tail)


def test_nf4_levels_are_the_papers_quantiles():
    """QLoRA, appendix E: quantiles of N(0, 1) at evenly spaced probabilities, 8 of each sign, scaled to 1.

    The construction's offset is (1 - 1/30 + 1 - 1/32) / 2 = 0.9677083.
    """
    offset = 0.9677083
    ends = torch.linspace(offset, 0.5, 9, dtype=torch.float64)[:-1]
    starts = torch.linspace(offset, 0.5, 8, dtype=torch.float64)[:-1]
    expected = sorted([*norm.ppf(ends.numpy()), 0.0, *(-norm.ppf(starts.numpy()))])
    assert torch.tensor(NF4_LEVELS).tolist() == pytest.approx([v / max(expected) for v in expected], abs=2e-6)


@pytest.mark.parametrize("scheme", ["nf4", "fp4"])
@pytest.mark.parametrize(("out", "width"), [(64, 128), (48, 192), (33, 64)])
def test_the_own_grid_gives_bitsandbytes_weights_but_for_ties(out, width, scheme):
    """The library reads its own packed weights back before any forward pass; a tie may fall either way."""
    pytest.importorskip("bitsandbytes")
    w = weight(3, out, width, 0.05)
    theirs, ours = library_weight(w, scheme), fake_quantize(w, scheme)
    differ = (ours - theirs).abs() > 1e-7  # the library's levels are rounded to float32 once more
    assert differ.float().mean() <= 1e-4
    assert torch.allclose(library_weight(ours, scheme), ours, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("scheme", "most"), [("int3", 3), ("int4", 7), ("int8", 127)])
def test_per_channel_each_row_has_one_scale_and_errs_by_half_a_step_at_most(scheme, most):
    """Row scale max|w| / most, rounded to bfloat16 (8 bits: relative error at most 1/256)."""
    w = weight(5, 16, 80, 0.05)
    rounded = fake_quantize(w, scheme, group=0)
    step = w.abs().amax(1, keepdim=True) / most
    # the largest weight may be cut off by up to most / 256 steps where the scale was rounded down
    assert ((rounded - w).abs() <= step * (0.5 + 0.5 / 256 + most / 256)).all()
    assert all(len(row.unique()) <= 2 * most + 1 for row in rounded)
    assert torch.equal(fake_quantize(rounded, scheme, group=0), rounded)


@pytest.mark.parametrize(("scheme", "group"), [("int4", 64), ("int3", 0), ("int8", 32)])
def test_a_rounded_weight_is_its_code_times_its_groups_step(scheme, group):
    w = weight(6, 5, 100)
    assert torch.equal(steps(w, scheme, group) * codes(w, scheme, group), fake_quantize(w, scheme, group))


def test_levels_that_are_not_evenly_spaced_have_no_step():
    with pytest.raises(ValueError, match="nf4"):
        steps(weight(0), "nf4")


def test_unknown_schemes_are_refused():
    with pytest.raises(ValueError, match="int2"):
        fake_quantize(weight(0), "int2")


@pytest.mark.parametrize("scheme", ["int4", "nf4"])
def test_a_network_is_rounded_in_its_projections_only(model, scheme):
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    expected = {name: fake_quantize(m.clone(), scheme) for name, m in linear_weights(model.network).items()}
    quantize_network(model.network, scheme)
    for name, matrix in linear_weights(model.network).items():
        assert torch.equal(matrix, expected[name])
    rounded = {f"{name}.weight" for name in expected}
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name not in rounded), name


def test_rounding_a_network_twice_changes_no_bit(model):
    quantize_network(model.network)
    before = weight_digest(model)
    quantize_network(model.network)
    assert weight_digest(model) == before


def test_an_adapter_stays_in_full_precision_above_a_rounded_base(model):
    plain = model.clone()
    parse_scope("lora(2)").apply(model)
    adapters = {n: p.clone() for n, p in model.network.named_parameters() if "lora_" in n}
    quantize_network(model.network)
    quantize_network(plain.network)
    assert all(torch.equal(dict(model.network.named_parameters())[n], p) for n, p in adapters.items())
    ours, theirs = linear_weights(model.network), linear_weights(plain.network)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_share_of_changed_codes_counts_weights(llama):
    other = llama.clone()
    total = sum(m.numel() for m in linear_weights(llama.network).values())
    assert code_change_share(llama.network, other.network) == 0
    matrix = next(iter(linear_weights(other.network).values()))
    row = matrix[0, :64]
    peak = int(row.abs().argmax())
    victim = 0 if peak else 1
    with torch.no_grad():
        row[victim] = row[peak] if codes(matrix)[0, victim] != codes(matrix)[0, peak] else 0
    assert code_change_share(llama.network, other.network) == pytest.approx(1 / total)


def test_an_update_below_half_a_step_vanishes_on_the_grid_and_nowhere_else(llama):
    """From a grid point, a shift of 0.3 step rounds straight back unless it moves the group's peak."""
    quantize_network(llama.network)
    shifted = llama.clone()
    with torch.no_grad():
        for matrix in linear_weights(shifted.network).values():
            groups = matrix.reshape(-1, 64)
            step = groups.abs().amax(1, keepdim=True) / 7
            inside = groups.abs() < 6.5 * step
            matrix.copy_((groups + 0.3 * step * inside).reshape(matrix.shape))
    assert code_change_share(llama.network, shifted.network) == 0
    quantize_network(shifted.network)
    assert weight_digest(shifted) == weight_digest(llama)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_the_real_bitsandbytes_model_computes_with_its_own_rounded_weights(model, kind):
    """Twice, because release 0.50 repacks weights in the first forward pass on some CPUs."""
    pytest.importorskip("bitsandbytes")
    before = weight_digest(model)
    real = bitsandbytes_network(model, kind)
    expected = model.clone()
    with torch.no_grad():
        for matrix in linear_weights(expected.network).values():
            matrix.copy_(library_weight(matrix, kind))
        ids = torch.arange(1, 17).view(2, 8)
        wanted = expected.network(ids).logits
        for _ in range(2):
            error = (real.network(ids).logits - wanted).norm() / wanted.norm()
            assert error < 0.02  # bfloat16 kernels; unrounded weights differ by more than 0.1
        assert (model.network(ids).logits - wanted).norm() / wanted.norm() > 0.05
    assert weight_digest(model) == before


def test_the_real_bitsandbytes_model_keeps_an_adapter(llama):
    pytest.importorskip("bitsandbytes")
    parse_scope("lora(2)").apply(llama)
    real = bitsandbytes_network(llama)
    assert real.has_adapter
    with torch.no_grad():
        assert torch.isfinite(real.network(torch.arange(1, 9)[None]).logits).all()
