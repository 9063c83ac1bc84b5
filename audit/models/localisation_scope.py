"""A scope that is found instead of named: the parts of the blocks that matter most for the forget set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from audit.core.seeds import derive, some
from audit.models.batches import Example
from audit.models.language_model import LanguageModel
from audit.models.localisation import Effects, attribution, tracing
from audit.models.localisation_pairs import Pair, pairs

MOST = 64  # forget sequences that are looked at, a seeded choice

_WAYS: Mapping[str, Callable[[LanguageModel, Sequence[Pair], int], Effects]] = {
    "attribution": lambda model, given, seed: attribution(model, given),
    "tracing": lambda model, given, seed: tracing(model, given, seed=seed),
}


@dataclass(frozen=True)
class Located:
    """The ``share`` of attentions and MLPs with the largest mean absolute effect on forget answers.

    Each forget question is held against the retain question most like it. ``by``: ``attribution`` or ``tracing``.
    """

    share: float = 0.25  # of the attentions and MLPs of all blocks, rounded up, in (0, 1]
    by: str = "attribution"

    def __post_init__(self) -> None:
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share!r}")
        if self.by not in _WAYS:
            raise ValueError(f"by must be one of {', '.join(_WAYS)}, got {self.by!r}")
        object.__setattr__(self, "share", float(self.share))

    def __str__(self) -> str:
        return f"located(share={self.share!r}, by={self.by})"

    def find(
        self, model: LanguageModel, forget: Sequence[Example], retain: Sequence[Example], seed: int
    ) -> tuple[str, ...]:
        """Return the parts as ``localisation.parts`` names them; E292 or E293 where there is nothing to find."""
        given = pairs(model, some(forget, MOST, seed, "located"), retain)
        return _WAYS[self.by](model, given, derive(seed, "located")).largest(self.share)
