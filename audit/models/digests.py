"""The identity of weights: one digest for the same numbers, in memory or on disk.

Values are hashed as float32, so a bfloat16 file and the float32 network loaded from it are the same
checkpoint. Tied weights count once, under the name that comes first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.core.digest import digest_json
from audit.core.lazy import lazy

if TYPE_CHECKING:
    from torch import Tensor

    from audit.models.language_model import LanguageModel

torch = lazy("torch")
safetensors = lazy("safetensors")
safetensors_torch = lazy("safetensors.torch")
peft = lazy("peft")


def weight_digest(model: LanguageModel) -> str:
    """Return the SHA-256 over sorted (name, dtype, shape, bytes).

    With an adapter: the digest of (base digest, adapter settings, adapter tensors).
    """
    if not model.has_adapter:
        return tensors_digest(untied(model.network.state_dict()))
    base = tensors_digest(untied(base_state(model.network)))
    return adapter_digest(
        base, adapter_settings(model.network), peft.get_peft_model_state_dict(model.network)
    )


def tensors_digest(state: Mapping[str, Tensor]) -> str:
    """Return the digest of named tensors, whatever their order."""
    return digest_json([_entry(name, state[name]) for name in sorted(state)])


def files_digest(paths: Iterable[Path]) -> str:
    """Return ``tensors_digest`` of all tensors in safetensors files, one tensor in memory at a time."""
    entries = []
    for path in paths:
        with safetensors.safe_open(str(path), framework="pt") as file:
            entries += [_entry(name, file.get_tensor(name)) for name in file.keys()]  # noqa: SIM118  not a dict
    return digest_json(sorted(entries))


def adapter_digest(base: str, settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> str:
    """Return the digest of an adapter on a base."""
    return digest_json({"base": base, "settings": dict(settings), "tensors": tensors_digest(state)})


def adapter_settings(network: Any) -> dict[str, Any]:
    """Return what decides an adapter's effect besides its tensors."""
    return settings_of(network.peft_config["default"].to_dict())


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the effective settings from an adapter configuration."""
    kept = {name: config.get(name) for name in ("r", "lora_alpha", "use_rslora", "use_dora")}
    return {**kept, "target_modules": sorted(config["target_modules"])}


def untied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state without later names of storage that an earlier name already holds."""
    seen: set[tuple] = set()
    kept = {}
    for name, tensor in state.items():
        key = (tensor.device, tensor.data_ptr(), tensor.shape)
        if tensor.numel() and key in seen:
            continue
        seen.add(key)
        kept[name] = tensor
    return kept


def base_state(network: Any) -> dict[str, Tensor]:
    """Return the base's state dict out of a PEFT wrapper, under the names it has without one."""
    state = network.get_base_model().state_dict()
    return {re.sub(r"\.base_layer\b", "", k): v for k, v in state.items() if ".lora_" not in k}


def _entry(name: str, tensor: Tensor) -> list[Any]:
    values = tensor.detach().to("cpu")
    if values.is_floating_point():
        values = values.to(torch.float32)
    data = values.contiguous().reshape(-1).view(torch.uint8).numpy()
    return [
        name,
        str(values.dtype).removeprefix("torch."),
        list(tensor.shape),
        hashlib.sha256(data.data).hexdigest(),
    ]
