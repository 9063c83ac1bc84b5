"""AWQ: widen the input channels that carry much signal before rounding, and narrow them again afterwards.

Lin et al. MLSys 2024, arXiv:2306.00978, equations 4 and 5: s = (mean |x|)^alpha, alpha from 20 points of [0, 1) by
the least error of the matrix's own output; torchao's prototype searches each matrix by itself too. Rounding is that
of ``int4``, so alpha 0 is rounding to nearest. Without the paper's second search, over clipped ranges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.core.lazy import lazy
from audit.models.quantization import fake_quantize

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

POINTS = 20
LEAST = 1e-4  # smallest channel scale before normalisation, as the authors' code has it


def awq(weight: Tensor, hessian: Tensor, magnitude: Tensor, group: int = 64) -> Tensor:
    """Return a weight, shape (out, in), rounded under the best channel scales and scaled back, same dtype.

    ``hessian``: (in, in), the sum or mean of x xᵀ over calibration inputs. ``magnitude``: (in,), their mean |x|.
    """
    best, least = None, float("inf")
    for point in range(POINTS):
        scale = channel_scales(magnitude, point / POINTS).to(weight.dtype)
        rounded = fake_quantize(weight * scale, "int4", group) / scale
        error = output_error(rounded - weight, hessian)
        if error < least:
            best, least = rounded, error
    if best is None:
        raise ValueError("calibration inputs are not finite")
    return best


def channel_scales(magnitude: Tensor, alpha: float) -> Tensor:
    """Return the scale of each input channel, shape (in,), largest times smallest being 1."""
    scales = magnitude.pow(alpha).clamp(min=LEAST)
    return scales / (scales.max() * scales.min()).sqrt()


def output_error(difference: Tensor, hessian: Tensor) -> float:
    """Return tr(D H Dᵀ): the squared error of the outputs, for a difference D of shape (out, in)."""
    wide = difference.detach().double()
    return float((wide @ hessian.double() * wide).sum())
