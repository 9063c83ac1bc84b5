"""HQQ: choose each group's zero point so that most weights round well, outliers left aside; no calibration text.

Badri and Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models", the half-quadratic solver of
min ‖W − W_r‖_p, p = 0.7: a shrinkage step for the outliers in turn with a mean for the zero point. Numbers and
stopping rule are those of the library (hqq 0.2.8, 4 bits, axis 1), against whose weights this file is tested; the
library itself breaks imports of transformers where it is installed by halves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit.core.lazy import lazy
from audit.models.layers import linear_weights

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

MOST = 15  # largest code
NORM = 0.7
BETA = 10.0  # weight of the quadratic penalty, held as the library's default solver holds it
ITERATIONS = 20
FLAT = 1e-4  # range below which a group is not stretched
STEEPEST = 2e4  # largest inverse step, for half precision's sake


def hqq(weight: Tensor, group: int = 64) -> Tensor:
    """Return a weight, shape (out, in), on 16 evenly spaced levels per group of neighbours, same dtype.

    ``group`` must divide the number of weights; 0 is a whole row.
    """
    rows = weight.detach().float().reshape(-1, group or weight.shape[1])
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    inverse = torch.where(high - low <= FLAT, torch.ones_like(low), MOST / (high - low)).clamp(max=STEEPEST)
    zero = _solve(rows, inverse, (-low * inverse).round())
    return ((_codes(rows, inverse, zero) - zero) * (1.0 / inverse)).reshape(weight.shape).to(weight.dtype)


def quantize_hqq(network: Any, group: int = 64) -> None:
    """Put every projection inside the blocks on its own grid, in place."""
    with torch.no_grad():
        for matrix in linear_weights(network).values():
            matrix.copy_(hqq(matrix, group))


def ragged(network: Any, group: int) -> str | None:
    """Return why groups of ``group`` do not fit some projection, or None."""
    sizes = [matrix.numel() for matrix in linear_weights(network).values()]
    bad = [size for size in sizes if group and size % group]
    return f"a matrix of {bad[0]} weights is no multiple of {group}" if bad else None


def _solve(rows: Tensor, inverse: Tensor, zero: Tensor) -> Tensor:
    """Return the zero points, shape (groups, 1), one step past the last that lowered the mean error."""
    least = float("inf")
    for _ in range(ITERATIONS):
        code = _codes(rows, inverse, zero)
        residual = rows - (code - zero) / inverse
        zero = (code - (rows - _shrunk(residual)) * inverse).mean(1, keepdim=True)
        error = float(residual.abs().mean())
        if not error < least:
            break
        least = error
    return zero


def _codes(rows: Tensor, inverse: Tensor, zero: Tensor) -> Tensor:
    return (rows * inverse + zero).round().clamp(0, MOST)


def _shrunk(residual: Tensor) -> Tensor:
    """Return the generalised soft threshold of the p-norm (the paper's equation 4)."""
    size = residual.abs()
    return (size - size.pow(NORM - 1) / BETA).clamp(min=0.0) * residual.sign()
