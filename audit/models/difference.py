"""What unlearning did to the weights, seen from the original: how far, where, and whether 4-bit codes notice.

An update that changes few codes is taken back by rounding to 4 bits (Zhang et al. 2025, arXiv:2410.16454). Where
it lies tells what to attack: a change of the last blocks alone leaves what earlier ones hold. Diagnostics, never
evidence of forgetting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from audit.core.lazy import lazy
from audit.models.language_model import LanguageModel
from audit.models.layers import blocks
from audit.models.quantization import code_change_share

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


def update_diagnostics(model: LanguageModel, original: LanguageModel) -> dict[str, float]:
    """Return what the update did, adapters merged; {} where the two have not the same weights to compare.

    ``distance``: 2-norm of the change over that of the original's weights, at least 0. ``weights_changed``: share
    of weights that differ. ``int4_codes_changed``: share of projection weights whose int4 code differs.
    ``change_in_…_third`` of the blocks and ``change_outside_blocks`` (embeddings, norm, head): shares of the squared
    change; they sum to 1 and are left out where nothing changed.
    """
    ours, theirs = _network(model), _network(original)
    mine, base = _weights(ours), _weights(theirs)
    if mine.keys() != base.keys() or any(mine[name].shape != base[name].shape for name in mine):
        return {}
    squared = {name: _squared(weight, base[name]) for name, weight in mine.items()}
    total = sum(squared.values())
    size = sum(float(weight.double().square().sum()) for weight in base.values())
    changed = sum(int((weight != base[name].to(weight.device)).sum()) for name, weight in mine.items())
    found = {
        "distance": (total / size) ** 0.5,
        "weights_changed": changed / sum(weight.numel() for weight in mine.values()),
        "int4_codes_changed": code_change_share(theirs, ours, "int4"),
    }
    return found | ({part: value / total for part, value in _thirds(ours, squared).items()} if total else {})


def block_distances(model: LanguageModel, original: LanguageModel) -> np.ndarray:
    """Return (L,) the 2-norm of each block's change over that of the original's block, adapters merged.

    ValueError where the two models have not the same blocks.
    """
    pairs = list(zip(blocks(_network(model)), blocks(_network(original)), strict=True))
    return np.array([_distance(_weights(mine), _weights(base)) for mine, base in pairs])


def _distance(mine: dict[str, Tensor], base: dict[str, Tensor]) -> float:
    if mine.keys() != base.keys() or any(mine[name].shape != base[name].shape for name in mine):
        raise ValueError(f"blocks differ: {len(mine)} and {len(base)} weights")
    squared = sum(_squared(weight, base[name]) for name, weight in mine.items())
    return (squared / sum(float(weight.double().square().sum()) for weight in base.values())) ** 0.5


def _network(model: LanguageModel) -> Any:
    return model.merged().network if model.has_adapter else model.network


def _weights(module: Any) -> dict[str, Tensor]:
    """Return name -> floating-point weight, tied ones once."""
    return {name: w.detach() for name, w in module.named_parameters() if w.is_floating_point()}


def _squared(weight: Tensor, base: Tensor) -> float:
    return float((weight.double() - base.to(weight.device).double()).square().sum())


def _thirds(network: Any, squared: dict[str, float]) -> dict[str, float]:
    """Return part -> sum of the squared change; block b of L is in third floor(3 b / L)."""
    stack = blocks(network)
    prefix = next(name for name, module in network.named_modules() if module is stack) + "."
    names = [f"change_in_{third}_third" for third in ("first", "middle", "last")]
    parts = dict.fromkeys([*names, "change_outside_blocks"], 0.0)
    for name, value in squared.items():
        inside = name.startswith(prefix)
        block = int(name.removeprefix(prefix).partition(".")[0]) if inside else 0
        parts[names[3 * block // len(stack)] if inside else "change_outside_blocks"] += value
    return parts
