"""Activation addition: push the model from what it does for "somebody" to what it does for this person.

After AnonAct (Seyitoglu et al. 2024, arXiv:2411.02631). The vector is the mean difference of activations between
forgotten questions and the same questions with their names taken out, added at one layer while the model answers.
Questions are used, never answers. Our form: one anonymised wording per question, one vector for all persons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from audit.attacks.base import ATTACKS, AttackContext, Attacked, Tier
from audit.attacks.dial import Dialled
from audit.core.lazy import lazy
from audit.data.records import Probe
from audit.models.layers import block_output, blocks
from audit.models.load import LanguageModel

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

QUESTIONS = 128  # whose differences are averaged
SOMEBODY = "somebody"


@ATTACKS.register("steer")
@dataclass(frozen=True)
class Steer(Dialled):
    """Add the direction from anonymous to named questions to the residual stream.

    ``layer``: depth at which it is measured and added, a share of the blocks in (0, 1].
    ``strength``: multiples of the mean difference, ascending. An adapter is merged first.
    """

    layer: float = 0.5
    strength: tuple[float, ...] = (1.0, 2.0, 4.0)

    name: ClassVar[str]
    dial: ClassVar[str] = "strength"
    most: ClassVar[float] = 100.0
    tier: ClassVar[Tier] = "weights"
    version: ClassVar[int] = 1
    dose_unit: ClassVar[str] = "strength"
    source: ClassVar[str] = "AnonAct, arXiv:2411.02631; one vector for all is ours"
    never_trained_control: ClassVar[str] = (
        "The twins' questions to the same pushed model, and the retrained model pushed along its own direction."
    )

    def __post_init__(self) -> None:
        if isinstance(self.layer, bool) or not 0 < self.layer <= 1:
            raise ValueError(f"layer must be a share of the depth in (0, 1], got {self.layer!r}")
        self.check_dial()

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield one copy a strength; ValueError without forget questions that name somebody."""
        for size in self.strength:
            copy = model.merged() if size else model.clone()
            if size:
                depth = max(1, round(self.layer * len(blocks(copy.network)))) - 1
                _push(copy, size * _direction(copy, context, depth), depth)
            yield Attacked(size, copy, tuple(probes))


def anonymous(question: str) -> str:
    """Return the question with every run of capitalised words but the first word replaced by ``somebody``."""
    words: list[str] = []
    inside = False  # of a name of several words
    for place, word in enumerate(question.split(" ")):
        named = place > 0 and word[:1].isupper()
        if named and inside:
            words.pop()
        words.append(SOMEBODY + word[len(word.rstrip("?.,:;!")) :] if named else word)
        inside = named
    return " ".join(words)


def _direction(model: LanguageModel, context: AttackContext, depth: int) -> Tensor:
    """Return the mean difference (H,) of last-token activations, named minus anonymous."""
    pairs = sorted({(p.question, anonymous(p.question)) for s in context.forget for p in s.probes})
    pairs = [(named, plain) for named, plain in pairs if named != plain]
    if not pairs:
        raise ValueError(
            f"steer needs questions that name somebody, got {len(context.forget)} subjects without"
        )
    picked = pairs[:: max(1, len(pairs) // QUESTIONS)][:QUESTIONS]

    def last(question: str) -> Tensor:
        ids = torch.tensor([model.encode_prompt(question)], device=model.device)
        return block_output(model.network, ids, depth)[0, -1].float()

    with torch.no_grad():
        return torch.stack([last(named) - last(plain) for named, plain in picked]).mean(0)


def _push(model: LanguageModel, vector: Tensor, depth: int) -> None:
    """Add ``vector`` to the output of block ``depth`` at every position, from now on."""

    def hook(_module: Any, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0] + vector.to(output[0]), *output[1:])
        return output + vector.to(output)

    blocks(model.network)[depth].register_forward_hook(hook)
