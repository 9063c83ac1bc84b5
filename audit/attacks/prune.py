"""Pruning: drop the weights that matter least, by size or by size times input (Wanda).

Sun et al. ICLR 2024, arXiv:2306.11695. Compression that a deployer may apply in good faith, and that may drop
the small changes by which a model was made to forget. Every output row loses the same share of its weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from audit.attacks.base import ATTACKS, AttackContext, Attacked, Tier
from audit.attacks.dial import Dialled
from audit.core.lazy import lazy
from audit.data.records import Probe
from audit.models.layers import Linear, hidden_states, linears
from audit.models.load import LanguageModel

torch = lazy("torch")

CALIBRATION = 128  # forget questions, without answers, on which Wanda measures its inputs


@ATTACKS.register("prune")
@dataclass(frozen=True)
class Prune(Dialled):
    """Set the smallest weights of every projection's rows to zero.

    ``score``: magnitude (|w|) or wanda (|w| times the norm of its input over forget questions).
    ``sparsity``: shares of weights dropped, ascending. An adapter is merged first.
    """

    score: Literal["magnitude", "wanda"] = "magnitude"
    sparsity: tuple[float, ...] = (0.1, 0.3, 0.5)

    name: ClassVar[str]
    dial: ClassVar[str] = "sparsity"
    most: ClassVar[float] = 0.99
    tier: ClassVar[Tier] = "weights"
    version: ClassVar[int] = 1
    dose_unit: ClassVar[str] = "sparsity"
    source: ClassVar[str] = "Sun et al. 2024, arXiv:2306.11695 (Wanda)"
    never_trained_control: ClassVar[str] = (
        "The twins' questions to the same pruned weights, and the retrained model pruned in the same way."
    )

    def __post_init__(self) -> None:
        if self.score not in ("magnitude", "wanda"):
            raise ValueError(f"score must be magnitude or wanda, got {self.score!r}")
        self.check_dial()

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield one pruned copy a share, each from the weights as given; Wanda needs ``context.forget``."""
        for share in self.sparsity:
            copy = model.merged() if share else model.clone()
            if share:
                self._prune(copy, share, context)
            yield Attacked(share, copy, tuple(probes))

    def _prune(self, model: LanguageModel, share: float, context: AttackContext) -> None:
        found = list(linears(model.network))
        inputs = _input_norms(model, found, context) if self.score == "wanda" else {}
        with torch.no_grad():
            for linear in found:
                scores = linear.matrix.abs()
                if linear.name in inputs:
                    scores = scores * inputs[linear.name]
                dropped = scores.argsort(dim=1, stable=True)[:, : round(share * scores.shape[1])]
                linear.matrix.scatter_(1, dropped, 0.0)


def _input_norms(model: LanguageModel, found: list[Linear], context: AttackContext) -> dict[str, Any]:
    """Return name -> (in,) Euclidean norm of each input feature over all tokens of some forget questions."""
    questions = [probe.question for subject in context.forget for probe in subject.probes][:CALIBRATION]
    if not questions:
        raise ValueError("wanda needs forget questions in the attack's context, got none")
    squares: dict[str, Any] = {}

    def watch(name: str) -> Any:
        def hook(_module: Any, inputs: tuple) -> None:
            seen = inputs[0].detach().float().flatten(0, -2).square().sum(0)
            squares[name] = squares.get(name, 0.0) + seen

        return hook

    handles = [linear.module.register_forward_pre_hook(watch(linear.name)) for linear in found]
    try:
        with torch.inference_mode():
            for question in questions:
                ids = torch.tensor([model.encode_prompt(question)], device=model.device)
                hidden_states(model.network, ids)
    finally:
        for handle in handles:
            handle.remove()
    return {name: total.sqrt() for name, total in squares.items()}
