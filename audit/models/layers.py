"""Where things are in a causal language model, for any architecture that transformers knows.

Blocks are the first ModuleList of as many entries as the configuration names hidden layers (``model.layers``,
``transformer.h``, ``gpt_neox.layers``). GPT-2 stores its projections transposed (Conv1D); ``matrix`` hides
that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.core.errors import AuditError
from audit.core.lazy import lazy

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
pytorch_utils = lazy("transformers.pytorch_utils")


class Linear(NamedTuple):
    """One projection inside a block. ``name`` has no adapter prefixes: it is the same in every model."""

    name: str
    module: Any
    transposed: bool  # the stored weight is (in, out) instead of (out, in)

    @property
    def matrix(self) -> Tensor:
        """The weight as a view of shape (out, in)."""
        weight = self.module.weight
        return weight.T if self.transposed else weight


def inner(network: Any) -> Any:
    """Return the transformers model inside a PEFT wrapper, or the network itself."""
    return network.get_base_model() if hasattr(network, "peft_config") else network


def text_config(network: Any) -> Any:
    """Return the configuration of the language part."""
    return inner(network).config.get_text_config()


def body(network: Any) -> Any:
    """Return the part that maps token ids to final hidden states."""
    return inner(network).base_model


def blocks(network: Any) -> Any:
    """Return the ModuleList of transformer blocks."""
    count = text_config(network).num_hidden_layers
    for module in inner(network).modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return module
    raise AuditError("E208", f"no list of {count} blocks in {type(inner(network)).__name__}", _ARCHITECTURE)


def mlp(block: Any) -> Any:
    """Return the feed-forward part of a block."""
    if not hasattr(block, "mlp"):
        raise AuditError("E208", f"{type(block).__name__} has no part called mlp", _ARCHITECTURE)
    return block.mlp


def attention(block: Any) -> Any:
    """Return the part of a block that moves information between tokens."""
    for name in ("self_attn", "attn", "attention"):
        if hasattr(block, name):
            return getattr(block, name)
    raise AuditError("E208", f"{type(block).__name__} has no attention of a known name", _ARCHITECTURE)


def linears(network: Any) -> Iterator[Linear]:
    """Yield every 2-D projection inside the blocks: neither embeddings, nor lm_head, nor adapter matrices."""
    stack = blocks(network)
    prefix = next(name for name, module in inner(network).named_modules() if module is stack)
    for path, module in stack.named_modules():
        if "lora_" in path or not _is_projection(module):
            continue
        name = f"{prefix}.{path}".removesuffix(".base_layer")
        yield Linear(name, module, isinstance(module, pytorch_utils.Conv1D))


def linear_weights(network: Any) -> dict[str, Tensor]:
    """Return name -> weight view of shape (out, in) of every projection inside the blocks."""
    return {linear.name: linear.matrix for linear in linears(network)}


def hidden_states(network: Any, ids: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the final hidden states, shape (B, T, H), of right-padded ids, shape (B, T).

    Right padding needs no mask in a causal model: no real token looks to its right.
    """
    return body(network)(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state


def head(network: Any, hidden: Tensor) -> Tensor:
    """Return float32 logits, shape (..., V), of final hidden states, shape (..., H)."""
    config = text_config(network)
    logits = inner(network).get_output_embeddings()(hidden).float()
    logits = logits * (getattr(config, "logit_scale", None) or 1.0)  # Cohere
    logits = logits / (getattr(config, "logits_scaling", None) or 1.0)  # Granite
    cap = getattr(config, "final_logit_softcapping", None)  # Gemma 2
    return cap * torch.tanh(logits / cap) if cap else logits


def check_head(network: Any) -> None:
    """Raise E208 where body and head do not give the network's own logits (an unknown last step)."""
    ids = torch.arange(3, device=next(network.parameters()).device)[None]
    with torch.no_grad():
        own = head(network, hidden_states(network, ids))
        difference = float((own - inner(network)(input_ids=ids, use_cache=False).logits.float()).abs().max())
    if not difference <= 1e-3 * (1 + float(own.abs().max())):
        name = type(inner(network)).__name__
        raise AuditError(
            "E208", f"logits of {name} differ by {difference:.3g} from its head's", _ARCHITECTURE
        )


_ARCHITECTURE = "use a decoder-only architecture such as Llama, GPT-2, GPT-NeoX or Qwen"


def _is_projection(module: Any) -> bool:
    return isinstance(module, torch.nn.Linear | pytorch_utils.Conv1D)


class _Reached(Exception):
    """Carries a block's output out of the forward pass."""


def block_output(network: Any, ids: Tensor, layer: int) -> Tensor:
    """Return hidden states after block ``layer``, shape (B, T, H); later blocks do not run."""

    def stop(_module: Any, _inputs: Any, output: Any) -> None:
        raise _Reached(output[0] if isinstance(output, tuple) else output)

    handle = blocks(network)[layer].register_forward_hook(stop)
    try:
        hidden_states(network, ids)
    except _Reached as reached:
        return reached.args[0]
    finally:
        handle.remove()
    raise ValueError(f"block {layer} was not reached")
