"""The model as bitsandbytes runs it in 4 bits: the library's own layers, kernels and arithmetic.

Dettmers and Zettlemoyer 2023, arXiv:2212.09720; QLoRA, arXiv:2305.14314. On CPUs with AVX512-BF16 release
0.50 repacks its weights in the first forward pass, and weights read back afterwards are wrong without a
warning (upstream issue 2078): a model returned here may be asked, never saved or dequantized.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.models.language_model import LanguageModel
from audit.models.layers import Linear, inner, linears

torch = lazy("torch")
bitsandbytes = lazy("bitsandbytes")

GROUP = 64


def bitsandbytes_network(model: LanguageModel, kind: Literal["nf4", "fp4"] = "nf4") -> LanguageModel:
    """Return a copy of ``model`` whose projections are bitsandbytes' Linear4bit; adapters stay as they are.

    ``AuditError`` E216 if the library is missing.
    """
    if kind not in ("nf4", "fp4"):
        raise ValueError(f"kind must be 'nf4' or 'fp4', got {kind!r}")
    library = _library()
    twin = model.clone()
    found = {id(linear.module): linear for linear in linears(twin.network)}
    for parent in list(inner(twin.network).modules()):
        for name, child in list(parent.named_children()):
            if id(child) in found:
                setattr(parent, name, _four_bit(library, found[id(child)], kind))
    twin.network.requires_grad_(False)
    return twin


def unsupported(model: LanguageModel) -> str | None:
    """Return why the library cannot run this model in 4 bits, or None.

    On CPUs with AVX512 release 0.50.2 computes with wrong weights, without a warning, where the rows of a matrix
    are no multiple of the group (64 x 96).
    """
    found = list(linears(model.network))
    if any(hasattr(linear.matrix, "quant_state") for linear in found):
        return "already runs in 4 bits"
    ragged = sorted({linear.matrix.shape[1] for linear in found if linear.matrix.shape[1] % GROUP})
    return f"rows of {ragged[0]} weights are no multiple of {GROUP}" if ragged else None


def library_weight(matrix: Any, kind: Literal["nf4", "fp4"] = "nf4") -> Any:
    """Return a weight, shape (out, in), after the library's own rounding and back."""
    functional = _library().functional
    packed, state = functional.quantize_4bit(matrix.detach().contiguous(), blocksize=GROUP, quant_type=kind)
    return functional.dequantize_4bit(packed, state)


def _four_bit(library: Any, linear: Linear, kind: str) -> Any:
    out, width = linear.matrix.shape
    bias = getattr(linear.module, "bias", None)
    layer = library.nn.Linear4bit(
        width,
        out,
        bias=bias is not None,
        compute_dtype=torch.float32,
        compress_statistics=False,
        quant_type=kind,
    )
    weight = linear.matrix.detach().clone().contiguous()
    device = weight.device
    layer.weight = library.nn.Params4bit(
        weight.cpu(), requires_grad=False, blocksize=GROUP, compress_statistics=False, quant_type=kind
    )
    if bias is not None:
        layer.bias = torch.nn.Parameter(bias.detach().clone().cpu(), requires_grad=False)
    return layer.to(device)  # moving to a device is what quantizes


def _library() -> Any:
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it asks for optional kernels from a hub
    try:
        return bitsandbytes.nn and bitsandbytes
    except ImportError:
        remedy = "pip install 'unlearning-auditor[bitsandbytes]'"
        raise AuditError("E216", "bitsandbytes is not installed", remedy) from None
