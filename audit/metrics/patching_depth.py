"""White box: how much of an answer is gone from the blocks, measured by patching them into the original.

Of 22 metrics compared on 60 models with and without the knowledge this one told them apart best (0.97 as AUC; 0.93
under quantization and relearning: gnueaj/unlearning-depth-score). It needs the original and a model that was
trained from the same start without the answers, and says nothing of answers that the original does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from audit.metrics.base import METRICS, present
from audit.models.scoring import Scored


@METRICS.register("patching_depth")
@dataclass(frozen=True)
class PatchingDepth:
    """How much of the answer is gone from the blocks, as far as it is from retrained's; 0: all is still there."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "lower"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = frozenset({"patching"})
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "UDS, Lee et al. 2026, arXiv:2605.24614; the whole answer instead of an entity"

    def value(self, scored: Scored) -> float:
        """Return the depth in [0, 1]."""
        present(scored.patching_depth, self.name, "patching")
        assert scored.patching_depth is not None
        return scored.patching_depth
