"""Training in slices: a frozen base, then one LoRA adapter per slice, each on the state before it.

SISA's slices (Bourtoule et al. 2021, arXiv:1912.03817, section IV): stage i sees slices 1 to i, and the state before
it is kept. The adapters stand side by side in one LoRA adapter, slice i in the i-th ``rank`` rows of A and columns of
B, so that all of it is one checkpoint, taking slices off is cutting matrices, and the base never changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.seeds import derive
from audit.models.language_model import LanguageModel
from audit.models.scope import Scope
from audit.models.training import NLL, Budget, Example, train

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")
peft = lazy("peft")

Part = Mapping[str, "Tensor"]  # one slice's A (rank, in) and B (out, rank), by PEFT's names


@dataclass(frozen=True)
class SlicedTraining:
    """How slices are learned: LoRA ``rank`` of each, passes over a slice, sequences per step and learning rate."""

    rank: int
    epochs: float
    batch: int
    lr: float
    seed: int

    def fit(
        self,
        base: LanguageModel,
        known: Sequence[Example],
        slices: Sequence[Sequence[Example]],
        kept: Sequence[Part | None] = (),
    ) -> LanguageModel:
        """Return ``base`` with all slices learned; the first slices are taken over from ``kept`` as they are.

        ``known``: what the base has learned, rehearsed with the earlier slices. An empty slice has no adapter, None.
        The same arguments give the same weights bit by bit, and those of a slice depend on nothing after it.
        """
        parts = list(kept)
        for number in range(len(kept), len(slices)):
            earlier = [*known, *(example for one in slices[:number] for example in one)]
            state = stacked(base, parts).merged()
            parts.append(self._learn(state, slices[number], earlier, number) if slices[number] else None)
        return stacked(base, parts)

    def _learn(
        self, state: LanguageModel, examples: Sequence[Example], earlier: Sequence[Example], number: int
    ) -> Part:
        """Return the adapter of one slice, learned on ``state``."""
        weight = 1.0 if earlier else 0.0
        steps = math.ceil(len(examples) * self.epochs / min(self.batch, len(examples)))
        budget = Budget(
            lr=self.lr, steps=steps, batch=self.batch, forget_weight=1.0, retain_weight=weight
        )  # the slice stands on the forget side of the loop, what came before it on the retain side
        seed, scope = derive(self.seed, "slice", number), Scope("lora", rank=self.rank)
        train(state, NLL(), examples, earlier, budget, scope=scope, seed=seed)
        return _tensors(state)


def stacked(base: LanguageModel, parts: Sequence[Part | None]) -> LanguageModel:
    """Return a copy of ``base`` that carries all ``parts`` in one adapter; without any, none."""
    made, present = base.clone(), [part for part in parts if part is not None]
    if not present:
        return made
    Scope("lora", rank=sum(map(_rank, present))).apply(made)
    joined = {name: torch.cat([part[name] for part in present], dim=_side(name)) for name in present[0]}
    peft.set_peft_model_state_dict(made.network, joined)
    made.network.eval().requires_grad_(False)
    return made


def parts_of(model: LanguageModel, filled: Sequence[bool]) -> list[Part | None]:
    """Return the adapter of each slice of a stacked model, None where it is not ``filled``; E232 if they do not fit."""
    count = sum(filled)
    state = _tensors(model) if model.has_adapter else {}
    if not state or not count or _rank(state) % count:
        raise AuditError(
            "E232",
            f"the model's adapter is not made of {count} slices",
            "train the original with laboratory: {training: sisa(slices=2)}",
        )
    rank, cut = _rank(state) // count, iter(range(count))
    return [_cut(state, next(cut) * rank, rank) if is_filled else None for is_filled in filled]


def _cut(state: Part, start: int, rank: int) -> Part:
    return {name: tensor.narrow(_side(name), start, rank).clone() for name, tensor in state.items()}


def _side(name: str) -> int:
    """Return the dimension of an adapter's tensor along which slices stand side by side."""
    return 0 if ".lora_A." in name else 1


def _tensors(model: LanguageModel) -> Part:
    return {k: v.detach().clone() for k, v in peft.get_peft_model_state_dict(model.network).items()}


def _rank(part: Part) -> int:
    return next(tensor.shape[0] for name, tensor in part.items() if ".lora_A." in name)


def base_of(model: LanguageModel) -> LanguageModel:
    """Return a copy of the model without its adapter; a clone where there is none."""
    made = model.clone()
    if made.has_adapter:
        made.network = made.network.unload().eval()
    return made
