"""The straight path through the weights: stop short of the unlearned model, or go beyond it.

theta(s) = theta_start + s (theta_made - theta_start), the lambda-path of task vectors (Ilharco et al. ICLR
2023, arXiv:2212.04089). 0 is the model before unlearning, 1 the unlearned one; several strengths make a
one-dimensional family of candidates. An adapter is scaled: its product is the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from audit.core.lazy import lazy
from audit.methods.base import POSTS
from audit.models.load import LanguageModel
from audit.models.training import Example

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")


@POSTS.register("path")
@dataclass(frozen=True)
class StraightPath:
    """Go a share of the way from the starting to the unlearned weights."""

    strength: float = 1.0  # 0 the starting weights, 1 the unlearned ones, beyond 1 further on

    source: ClassVar[str] = "arXiv:2212.04089"
    evidence: ClassVar[str] = "paper"
    needs: ClassVar[frozenset[str]] = frozenset()
    cost: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        if not self.strength >= 0:
            raise ValueError(f"strength must not be negative, got {self.strength}")

    def calibrate(
        self, start: LanguageModel, made: LanguageModel, tune: Sequence[Example], seed: int
    ) -> None:
        """Put ``made`` at its point of the path; nothing is looked at."""
        Line(start, made).go(self.strength)


class Line:
    """The path from ``start`` to the weights that ``made`` has now; ``go`` moves ``made`` along it."""

    def __init__(self, start: LanguageModel, made: LanguageModel) -> None:
        self._ends = _ends(start.network, made.network)

    def go(self, strength: float) -> None:
        """Put the model at theta_start + strength (theta_made - theta_start); bit-exact at 0 and 1."""
        with torch.no_grad():
            for weight, first, last in self._ends:
                weight.copy_({0.0: first, 1.0: last}.get(strength, first.lerp(last, strength)))


def _ends(start: Any, made: Any) -> list[tuple[Any, Tensor, Tensor]]:
    """Return (weight, value at 0, value at 1) of every weight that differs along the path."""
    if hasattr(made, "peft_config") and not hasattr(start, "peft_config"):
        # Scaling B alone scales the product B A; where B is zero the adapter does nothing.
        adapter = [w for name, w in made.named_parameters() if ".lora_B." in name]
        return [(w, torch.zeros_like(w), w.detach().clone()) for w in adapter]
    before = dict(start.named_parameters())
    return [
        (w, before[name].detach(), w.detach().clone())
        for name, w in made.named_parameters()
        if not torch.equal(w, before[name])
    ]
