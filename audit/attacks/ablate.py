"""Direction ablation: remove from the weights the direction that forgotten questions switch on.

Arditi et al. 2024, arXiv:2406.11717 (refusal is mediated by one direction). Where unlearning has only taught a
refusal or a detour, its direction is the difference between the mean activations of forgotten and of other
questions. Projecting it out of everything that writes into the residual stream takes the detour away. Questions
are used, never answers: nothing is put in that could be asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from audit.attacks.base import ATTACKS, AttackContext, Attacked, Tier
from audit.attacks.dial import Dialled
from audit.core.lazy import lazy
from audit.data.records import Probe
from audit.models.layers import block_output, blocks, linear_weights
from audit.models.load import LanguageModel

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

QUESTIONS = 128  # of each kind, whose activations are averaged


@ATTACKS.register("ablate")
@dataclass(frozen=True)
class Ablate(Dialled):
    """Project the forget direction out of every matrix that writes into the residual stream.

    ``layer``: depth at which the direction is measured, a share of the blocks in (0, 1].
    ``strength``: shares of the direction removed, ascending, 1 for all of it. An adapter is merged first.
    """

    layer: float = 0.5
    strength: tuple[float, ...] = (1.0,)

    name: ClassVar[str]
    dial: ClassVar[str] = "strength"
    most: ClassVar[float] = 2.0
    tier: ClassVar[Tier] = "weights"
    version: ClassVar[int] = 2
    dose_unit: ClassVar[str] = "strength"
    source: ClassVar[str] = "Arditi et al. 2024, arXiv:2406.11717"
    never_trained_control: ClassVar[str] = (
        "The twins' questions to the same weights, and the retrained model without its own such direction."
    )

    def __post_init__(self) -> None:
        if isinstance(self.layer, bool) or not 0 < self.layer <= 1:
            raise ValueError(f"layer must be a share of the depth in (0, 1], got {self.layer!r}")
        self.check_dial()

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield one edited copy a share; the direction compares the forget list's questions with the retain list's.

        Both lists whole, whoever is asked: sealed subjects meet the direction that the others met.
        """
        direction = self._direction(model, context) if any(self.strength) else None
        for share in self.strength:
            copy = model.merged() if share else model.clone()
            if direction is not None and share:
                _project_out(copy, direction, share)
            yield Attacked(share, copy, tuple(probes))

    def _direction(self, model: LanguageModel, context: AttackContext) -> Tensor | None:
        """Return the unit vector (H,) from other questions to forget questions; None where they coincide."""
        ours, others = (
            sorted({p.question for subject in side for p in subject.probes})
            for side in (context.forget, context.retain)
        )
        if not ours or not others:
            raise ValueError(f"ablate compares questions: {len(ours)} forgotten, {len(others)} others")
        depth = max(1, round(self.layer * len(blocks(model.network)))) - 1
        difference = _mean(model, ours, depth) - _mean(model, others, depth)
        norm = difference.norm()
        return difference / norm if float(norm) > 0 else None


def _mean(model: LanguageModel, questions: Sequence[str], depth: int) -> Tensor:
    """Return the mean (H,) activation at the last token of some questions, evenly picked."""
    picked = questions[:: max(1, len(questions) // QUESTIONS)][:QUESTIONS]
    encoded = [torch.tensor([model.encode_prompt(question)], device=model.device) for question in picked]
    with torch.inference_mode():
        return torch.stack([block_output(model.network, ids, depth)[0, -1].float() for ids in encoded]).mean(
            0
        )


def _project_out(model: LanguageModel, direction: Tensor, share: float) -> None:
    """Take ``share`` of the direction out of the output of every matrix of the residual stream's width."""
    with torch.no_grad():
        for name, matrix in linear_weights(model.network).items():
            if matrix.shape[0] == len(direction) and name.endswith(_WRITERS):
                unit = direction.to(matrix)
                matrix.sub_(torch.outer(unit, unit @ matrix), alpha=share)


_WRITERS = (  # last projections of attention and feed-forward part: Llama and Qwen, GPT-2, GPT-NeoX
    "o_proj",
    "down_proj",
    "c_proj",
    "attention.dense",
    "dense_4h_to_h",
)
