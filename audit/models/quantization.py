"""Weights on a coarse grid: symmetric round-to-nearest, NF4 and FP4, as dequantized weights and as codes.

``int4``: per group of 64 along the input, code = round(w / s) in -7…7, s = max|w| / 7; ``int3`` and ``int8``
alike with 3 and 127; group 0 is a whole row (per channel). The scale is kept in bfloat16, as 4-bit checkpoints
keep it; code times scale is then exact in float32 and rounding twice changes nothing.
``nf4``: QLoRA (Dettmers et al. 2023, arXiv:2305.14314, appendix E), 64 values share their maximum.
``fp4``: the same with bitsandbytes' 4-bit floats (2 exponent bits).
Codes matter beside weights: an update that changes no code vanishes when the model is quantized again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit.core.lazy import lazy
from audit.models.layers import linear_weights

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

INTEGER = {"int3": 3, "int4": 7, "int8": 127}  # largest code
SCHEMES = (*INTEGER, "nf4", "fp4")

# Quantiles of the standard normal, as bitsandbytes stores them (float32).
NF4_LEVELS = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)

# bitsandbytes' FP4 on [0, 1]: a subnormal, then 1, 1.5, 2, 3, 4, 6 sixths; minus zero is zero.
_FP4_POSITIVE = (0.005208333333, 1 / 6, 0.25, 1 / 3, 0.5, 2 / 3, 1.0)
FP4_LEVELS = (*(-level for level in reversed(_FP4_POSITIVE)), 0.0, *_FP4_POSITIVE)


def fake_quantize(weight: Tensor, scheme: str = "int4", group: int = 64) -> Tensor:
    """Return the dequantized version of a weight of shape (out, in), same dtype and shape."""
    code, scale = _quantize(weight, scheme, group)
    levels = code * scale if scheme in INTEGER else _levels(scheme, weight.device)[code.long()] * scale
    return _ungroup(levels, weight, scheme).to(weight.dtype)


def codes(weight: Tensor, scheme: str = "int4", group: int = 64) -> Tensor:
    """Return the codes as int8, shape (out, in): -7…7 for int4, 0…15 for nf4, 0…14 for fp4."""
    code, _ = _quantize(weight, scheme, group)
    return _ungroup(code, weight, scheme).to(torch.int8)


def steps(weight: Tensor, scheme: str = "int4", group: int = 64) -> Tensor:
    """Return the distance between neighbouring levels at each weight, shape (out, in) float32; integers only."""
    if scheme not in INTEGER:
        raise ValueError(f"the levels of {scheme!r} are not evenly spaced")
    code, scale = _quantize(weight, scheme, group)
    return _ungroup(scale.expand_as(code), weight, scheme)


def quantize_network(network: Any, scheme: str = "int4", group: int = 64) -> None:
    """Put every projection inside the blocks on the grid, in place; embeddings, lm_head and adapters stay."""
    with torch.no_grad():
        for matrix in linear_weights(network).values():
            matrix.copy_(fake_quantize(matrix, scheme, group))


def code_change_share(a: Any, b: Any, scheme: str = "int4", group: int = 64) -> float:
    """Return the share, in [0, 1], of projection weights whose code differs between two networks."""
    ours, theirs = linear_weights(a), linear_weights(b)
    if ours.keys() != theirs.keys():
        raise ValueError(f"networks differ: {len(ours)} and {len(theirs)} projections")
    changed = total = 0
    with torch.no_grad():
        for name, matrix in ours.items():
            other = theirs[name].to(matrix.device)
            changed += int((codes(matrix, scheme, group) != codes(other, scheme, group)).sum())
            total += matrix.numel()
    return changed / total


def _quantize(weight: Tensor, scheme: str, group: int) -> tuple[Tensor, Tensor]:
    """Return codes, shape (groups, group) float32, and scales, shape (groups, 1)."""
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {SCHEMES}, got {scheme!r}")
    rows = _groups(weight.detach().float(), scheme, group)
    peak = rows.abs().amax(1, keepdim=True)
    if scheme not in INTEGER:
        levels = _levels(scheme, weight.device)
        borders = (levels[1:] + levels[:-1]) / 2
        return torch.bucketize(rows / _nonzero(peak), borders).float(), peak
    most = INTEGER[scheme]
    scale = (peak / most).to(torch.bfloat16).float()
    code = (rows / _nonzero(scale)).round().clamp(-most, most)
    return code + 0.0, scale  # there is one zero on the grid, not -0.0 beside it


def _groups(weight: Tensor, scheme: str, group: int) -> Tensor:
    # bitsandbytes cuts the flattened weight into blocks; int4 kernels cut each row. Zeros fill the last
    # group.
    rows = weight if scheme in INTEGER else weight.reshape(1, -1)
    group = group or rows.shape[1]
    filled = torch.nn.functional.pad(rows, (0, -rows.shape[1] % group))
    return filled.reshape(-1, group)


def _ungroup(values: Tensor, weight: Tensor, scheme: str) -> Tensor:
    out, width = weight.shape
    if scheme in INTEGER:
        return values.reshape(out, -1)[:, :width]
    return values.reshape(-1)[: weight.numel()].reshape(out, width)


def _levels(scheme: str, device: Any) -> Tensor:
    return torch.tensor(NF4_LEVELS if scheme == "nf4" else FP4_LEVELS, dtype=torch.float32, device=device)


def _nonzero(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, torch.ones_like(scale))
