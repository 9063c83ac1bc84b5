"""Several Llamas side by side in one checkpoint whose logits are the sum of theirs.

SISA trains constituents apart and aggregates their predictions (Bourtoule et al. 2021, arXiv:1912.03817, section IV:
by a vote, or by averaging prediction vectors). Here their logits are added: a product of experts (Hinton 2002), whose
most likely token is that of the mean logits, and to which an undecided constituent contributes nothing. A sum of
logits is linear in the final hidden states of all constituents put end to end, so that S Llamas of width H are one
Llama of width S H with S times the heads and block-diagonal projections. One thing differs from a Llama: root mean
squares are taken over each constituent's own H states.

The result is a network of its own kind to transformers, registered here: no code comes with a checkpoint. Zero blocks
are stored and computed, S^2 times a constituent's projections; training may fill them, and then nothing can be cut out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.models.language_model import LanguageModel

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
transformers = lazy("transformers")
modeling_llama = lazy("transformers.models.llama.modeling_llama")

KIND = "joined_llama"
_TIMES = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
_OWN = ("model_type", "architectures", "transformers_version", "dtype", "_name_or_path", "shards")


def joined(models: Sequence[LanguageModel]) -> LanguageModel:
    """Return one model whose logits are the sum of those of ``models``, Llamas of one configuration.

    ValueError for other networks; tokenizer and prompt style are the first one's.
    """
    configs = [_plain(model.network.config) for model in models]
    if any(type(model.network) is not transformers.LlamaForCausalLM for model in models):
        raise ValueError("only Llamas without adapters can be joined")
    if any(config != configs[0] for config in configs):
        raise ValueError(f"{len(models)} Llamas of different configurations")
    count, states = len(models), [model.network.state_dict() for model in models]
    config, network = _classes()
    made = config(**configs[0] | {name: count * configs[0][name] for name in _TIMES}, shards=count)
    state = {name: _together(name, [one[name] for one in states]) for name in states[0]}
    return replace(models[0], network=_filled(network, made, state, models[0]), training=None)


def constituents(model: LanguageModel, count: int) -> list[LanguageModel]:
    """Return the ``count`` Llamas that ``joined`` put together, bit by bit; E243 where it did not."""
    config, state = getattr(model.network, "config", None), model.network.state_dict()
    if getattr(config, "shards", 0) != count or model.has_adapter:
        raise _not_joined(count)
    shared = _plain(config) | {name: getattr(config, name) // count for name in _TIMES}
    cut = {name: _apart(name, tensor, count) for name, tensor in state.items()}
    if not all(torch.equal(_together(name, parts), state[name]) for name, parts in cut.items()):
        raise _not_joined(count)
    llama = transformers.LlamaForCausalLM
    states = [{name: parts[number] for name, parts in cut.items()} for number in range(count)]
    return [
        replace(model, network=_filled(llama, transformers.LlamaConfig(**shared), one, model), training=None)
        for one in states
    ]


@cache
def register() -> None:
    """Make the kind known to transformers' Auto classes, which ``audit.models.load`` asks."""
    config, network = _classes()
    transformers.AutoConfig.register(KIND, config)
    transformers.AutoModelForCausalLM.register(config, network)


@cache
def _classes() -> tuple[Any, Any]:
    class JoinedConfig(transformers.LlamaConfig):
        """A Llama's configuration, sizes of all constituents together, and how many ``shards`` these are."""

        model_type = KIND
        shards: int = 1

    class JoinedRMSNorm(modeling_llama.LlamaRMSNorm):
        """Root-mean-square norms of each of ``shards`` equal parts of the states."""

        def __init__(self, config: Any) -> None:
            super().__init__(config.hidden_size, eps=config.rms_norm_eps)
            self.shards = config.shards

        def forward(self, hidden_states: Tensor) -> Tensor:
            parts = hidden_states.float().unflatten(-1, (self.shards, -1))
            scale = torch.rsqrt(parts.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
            return self.weight * (parts * scale).flatten(-2).to(hidden_states.dtype)

    class JoinedLlamaForCausalLM(transformers.LlamaForCausalLM):
        """A Llama with every norm taken shard by shard."""

        config_class = JoinedConfig

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            for block in self.model.layers:
                block.input_layernorm = JoinedRMSNorm(config)
                block.post_attention_layernorm = JoinedRMSNorm(config)
            self.model.norm = JoinedRMSNorm(config)

    return JoinedConfig, JoinedLlamaForCausalLM


def _plain(config: Any) -> dict[str, Any]:
    """Return what a configuration says of the network, without what it says of its class or its file."""
    return {name: value for name, value in config.to_dict().items() if name not in _OWN}


def _filled(kind: Any, config: Any, state: dict[str, Tensor], like: LanguageModel) -> Any:
    with torch.random.fork_rng():  # weights are drawn on the way and overwritten
        network = kind(config)
    network.load_state_dict(state)
    return network.to(like.device).eval().requires_grad_(False)


def _together(name: str, tensors: Sequence[Tensor]) -> Tensor:
    if tensors[0].ndim == 1:
        return torch.cat(list(tensors))
    return torch.cat(list(tensors), dim=1) if _of_words(name) else torch.block_diag(*tensors)


def _apart(name: str, tensor: Tensor, count: int) -> list[Tensor]:
    if tensor.ndim == 1 or _of_words(name):
        return list(tensor.chunk(count, dim=-1))
    return [rows.chunk(count, dim=1)[number] for number, rows in enumerate(tensor.chunk(count))]


def _of_words(name: str) -> bool:
    """Return whether the tensor has a row for every token: the embeddings and the head."""
    return name.endswith(("embed_tokens.weight", "lm_head.weight"))


def _not_joined(count: int) -> AuditError:
    return AuditError(
        "E243",
        f"the model is not {count} constituents side by side",
        f"train the original with laboratory: {{training: sharded(shards={count})}}",
    )
