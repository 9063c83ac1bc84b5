"""Which weights may move: ``all``, ``lora(16)``, ``layers(0:2)``, ``layers(0:2).mlp``, ``located(0.25)``.

LoRA: Hu et al. 2021, arXiv:2106.09685, through PEFT, on every projection inside the blocks. Scaling is 2
(lora_alpha = 2 r), no dropout, so that a scope is decided by its rank alone. ``located`` depends on the data: it
is ``resolved`` when a recipe runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.registry import construct, parse_call
from audit.core.seeds import derive
from audit.models.batches import Example
from audit.models.layers import blocks, linears, mlp
from audit.models.load import LanguageModel
from audit.models.localisation import parts
from audit.models.localisation_scope import Located

torch = lazy("torch")
peft = lazy("peft")

_LORA = re.compile(r"lora\(\s*(?:r\s*=\s*)?(\d+)\s*\)")
_LOCATED = re.compile(r"located\b")
_LAYERS = re.compile(r"layers\(\s*(-?\d*)\s*:\s*(-?\d*)\s*\)(\.mlp)?")


@dataclass(frozen=True)
class Scope:
    """The set of trainable weights.

    ``rank`` is LoRA's rank, 0 for none. ``start:stop`` selects blocks as a Python slice (None = open end).
    ``part`` narrows the selected blocks to ``mlp``. ``located`` says how ``modules`` (``3.mlp``) are to be found.
    """

    kind: str = "all"
    rank: int = 0
    start: int | None = None
    stop: int | None = None
    part: str | None = None
    located: Located | None = None
    modules: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "lora":
            return f"lora({self.rank})"
        if self.kind == "layers":
            ends = ["" if end is None else str(end) for end in (self.start, self.stop)]
            return f"layers({':'.join(ends)})" + (f".{self.part}" if self.part else "")
        return str(self.located) if self.located else "all"

    def resolved(
        self, model: LanguageModel, forget: Sequence[Example], retain: Sequence[Example], seed: int
    ) -> Scope:
        """Return the scope with its modules found in ``model``; any other scope as it is.

        The model stays as it is. E292 or E293 where there is nothing to find.
        """
        return replace(self, modules=self.located.find(model, forget, retain, seed)) if self.located else self

    def apply(self, model: LanguageModel, *, seed: int = 0) -> None:
        """Make exactly these parameters of ``model`` require gradients; ``lora`` wraps the network in place.

        Raises
        ------
        AuditError: E209 if the scope names no block of this model, E212 if an adapter stands in the way.
        ValueError: a located scope that was not resolved.
        """
        if self.located and not self.modules:
            raise ValueError(f"scope {self} was not resolved")
        if model.has_adapter and self.kind != "all":
            raise AuditError(
                "E212", f"scope {self} on a model that carries an adapter", "merge the adapter first"
            )
        if self.kind == "lora":
            model.network = _with_lora(model.network, self.rank, seed)
            return
        model.network.requires_grad_(self.kind == "all")
        if self.kind == "layers":
            for block in self._blocks(model.network):
                (mlp(block) if self.part == "mlp" else block).requires_grad_(True)
        for name in self.modules:
            parts(model.network)[name].requires_grad_(True)

    def _blocks(self, network: Any) -> list[Any]:
        stack = list(blocks(network))
        self.check(len(stack))
        return stack[self.start : self.stop]

    def check(self, depth: int) -> None:
        """Raise E209 if the scope names layers that a model of ``depth`` blocks does not have."""
        if self.kind != "layers":
            return
        if not range(depth)[self.start : self.stop] or (self.stop or 0) > depth:
            raise AuditError("E209", f"scope {self} on a model of {depth} layers", "name layers it has")


def parse_scope(text: str, *, locate: bool = False) -> Scope:
    """Return the scope a text such as ``layers(0:2).mlp`` describes; ``str`` writes it back.

    ``locate``: whoever asks can resolve a scope that depends on a forget and a retain set. AuditError E211 for
    another text, E112 for a wrong parameter, E294 for ``located`` without ``locate``.
    """
    text = text.strip()
    if text == "all":
        return Scope()
    if (match := _LORA.fullmatch(text)) and int(match[1]) > 0:
        return Scope("lora", rank=int(match[1]))
    if match := _LAYERS.fullmatch(text):
        start, stop = (int(end) if end not in ("", "-") else None for end in match.group(1, 2))
        return Scope("layers", start=start, stop=stop, part="mlp" if match[3] else None)
    if _LOCATED.match(text):
        if not locate:
            raise AuditError(
                "E294", f"scope {text} needs forget and retain sets, only a recipe has both", "name layers"
            )
        return Scope("located", located=construct(Located, parse_call(text), kind="scope"))
    raise AuditError(
        "E211", f"{text!r} is no scope", "use all, lora(16), layers(0:2), layers(0:2).mlp or located(0.25)"
    )


def _with_lora(network: Any, rank: int, seed: int) -> Any:
    targets = list(linears(network))
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=sorted({target.name.rsplit(".", 1)[1] for target in targets}),
        fan_in_fan_out=any(target.transposed for target in targets),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, "lora"))
        wrapped = peft.get_peft_model(network, config)
    return wrapped.eval()
