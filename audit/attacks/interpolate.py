"""Interpolation towards the original: what somebody does who kept the model from before.

Task arithmetic (Ilharco et al. 2023, arXiv:2212.04089) read backwards. Whoever holds the original needs no attack, so
this stands outside the bound; it shows how far a candidate has moved from what it is to forget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.attacks.base import ATTACKS, AttackContext, Attacked, Tier
from audit.attacks.dial import Dialled
from audit.core.lazy import lazy
from audit.data.records import Probe
from audit.models.load import LanguageModel

torch = lazy("torch")


@ATTACKS.register("interpolate")
@dataclass(frozen=True)
class Interpolate(Dialled):
    """Move every weight a share of the way back to the original; outside the bound.

    ``share``: shares of the way, ascending, in [0, 1]. An adapter is merged first.
    """

    share: tuple[float, ...] = (0.1, 0.25, 0.5)

    name: ClassVar[str]
    dial: ClassVar[str] = "share"
    most: ClassVar[float] = 1.0
    tier: ClassVar[Tier] = "weights"
    version: ClassVar[int] = 1
    dose_unit: ClassVar[str] = "share"
    source: ClassVar[str] = "Ilharco et al. 2023, arXiv:2212.04089"
    injects: ClassVar[bool] = True
    never_trained_control: ClassVar[str] = (
        "The retrained model moved as far towards the original, which gets it what the original knows."
    )

    def __post_init__(self) -> None:
        self.check_dial()

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield one copy a share; ValueError where the original is missing or of another shape."""
        for share in self.share:
            copy = model.merged() if share else model.clone()
            if share:
                _move(copy, _original(context), share)
            yield Attacked(share, copy, tuple(probes))


def _original(context: AttackContext) -> LanguageModel:
    if context.original is None:
        raise ValueError("interpolate needs the original model, got none")
    return context.original.merged()


def _move(model: LanguageModel, original: LanguageModel, share: float) -> None:
    theirs = dict(original.network.named_parameters())
    with torch.no_grad():
        for name, weight in model.network.named_parameters():
            if name not in theirs or theirs[name].shape != weight.shape:
                raise ValueError(f"the original has no weight {name} of shape {tuple(weight.shape)}")
            weight.lerp_(theirs[name].to(weight), share)
