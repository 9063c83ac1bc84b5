"""GPTQ: round a matrix column by column and let the columns still to come make good for each error.

Frantar et al. ICLR 2023, arXiv:2210.17323, Algorithm 1 (after Frantar and Alistarh 2022, arXiv:2208.11580): natural
order of the columns, damping 0.01, lazy updates in blocks of 128, all in float64. Each group keeps the step that
rounding to nearest would give it (``static_groups`` of the usual tools), so that the grid is that of ``int4`` and
only the choice of codes differs. An input that calibration never switched on is rounded to nearest; the authors'
code sets its weights to zero. Maintained tools need other releases of torch's neighbours or a GPU, hence this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.core.lazy import lazy
from audit.models.quantization import INTEGER, steps

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

DAMPING = 0.01  # share of the Hessian's mean diagonal that is added to it
BLOCK = 128  # columns whose updates of the rest are applied together


def gptq(weight: Tensor, hessian: Tensor, group: int = 64) -> Tensor:
    """Return a weight, shape (out, in), on the int4 grid of groups of ``group``, same dtype.

    ``hessian``: (in, in), the sum or mean of x xᵀ over calibration inputs; its scale does not matter.
    """
    left = weight.detach().double().clone()
    step = steps(weight, "int4", group).double()
    factor = inverse_factor(hessian.double())
    rounded = torch.empty_like(left)
    width = left.shape[1]
    for first in range(0, width, BLOCK):
        last = min(first + BLOCK, width)
        errors = torch.zeros_like(left[:, first:last])
        for column in range(first, last):
            rounded[:, column] = _nearest(left[:, column], step[:, column])
            error = (left[:, column] - rounded[:, column]) / factor[column, column]
            left[:, column:last] -= torch.outer(error, factor[column, column:last])
            errors[:, column - first] = error
        left[:, last:] -= errors @ factor[first:last, last:]
    return rounded.to(weight.dtype)


def inverse_factor(hessian: Tensor) -> Tensor:
    """Return the upper Cholesky factor U, UᵀU = H⁻¹, of the damped Hessian, shape (in, in) float64."""
    damped = hessian.clone()
    diagonal = damped.diagonal()
    diagonal[diagonal == 0] = 1.0
    diagonal += DAMPING * diagonal.mean()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True)


def _nearest(values: Tensor, step: Tensor) -> Tensor:
    most = INTEGER["int4"]
    safe = torch.where(step > 0, step, torch.ones_like(step))
    return (values / safe).round().clamp(-most, most) * step + 0.0
